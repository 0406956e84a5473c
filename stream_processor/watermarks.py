"""How far event time lies behind, of the devices of this process."""

from __future__ import annotations

import threading
from dataclasses import dataclass

# A device of which nothing came for so long is silent, not delayed.
SILENT_MS = 600_000.0


@dataclass(frozen=True, slots=True)
class Delay:
    """Of how many devices the watermark is known, and how far the last of them lies behind.

    `last` is that one, `{site}/{equipment}`; empty when none is known.
    """

    devices: int
    seconds: float
    last: str = ""


class Watermarks:
    """The watermarks of devices with a live clock; safe to use from any thread."""

    def __init__(self) -> None:
        # Of each device of a partition the watermark, and when it was told; milliseconds.
        self._known: dict[int, dict[str, tuple[float, float]]] = {}
        self._lock = threading.Lock()

    def tell(self, partition: int, device: str, watermark_ms: float | None, now_ms: float) -> None:
        """Note how far a device has come; None when it is away."""
        with self._lock:
            known = self._known.setdefault(partition, {})
            if watermark_ms is None:
                known.pop(device, None)
            else:
                known[device] = (watermark_ms, now_ms)

    def delay(self, partition: int, now_ms: float) -> Delay:
        """Return how far the devices of a partition lie behind `now_ms`, those that speak."""
        with self._lock:
            known = self._known.get(partition, {})
            for device in [d for d, (_, told) in known.items() if now_ms - told > SILENT_MS]:
                del known[device]
            if not known:
                return Delay(0, 0.0)
            last, (watermark_ms, _) = min(known.items(), key=lambda item: item[1][0])
            return Delay(len(known), max(now_ms - watermark_ms, 0.0) / 1000, last)
