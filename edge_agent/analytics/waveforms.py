"""Hold a device's waveforms back, and pass on what lies around a trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from edge_agent.analytics.capture import Capture, Fired, Piece, Ring, later
from edge_agent.analytics.options import CaptureTable, Raw
from edge_agent.drivers.base import Block, Channel, Device, Samples


@dataclass(slots=True)
class Passed:
    """What goes out of a block's channels, `late` what lies before it, `label` why it does."""

    samples: dict[str, Samples] = field(default_factory=dict)
    offsets_ms: dict[str, int] = field(default_factory=dict)
    label: str = ""
    late: list[Block] = field(default_factory=list)


class Waveforms:
    """The waveforms of one device: some always go out, some never, some when captured."""

    def __init__(
        self,
        device: Device,
        raw: Mapping[str, Raw],
        outputs: Mapping[str, Channel],
        tables: Sequence[CaptureTable],
        span_s: float,
    ) -> None:
        """Set memory aside for what captures need from before their triggers.

        `raw` says of channels what becomes of them, `outputs` are those of the analyses, and
        `span_s` the length of their longest window: what triggers lies in it.
        """
        self._device = device
        self._raw = raw
        self._channels = {channel.name: channel for channel in device.channels}
        self.captures: list[Capture] = []
        self._captures_of: dict[str, list[Capture]] = {}
        length_s: dict[str, float] = {}
        for table in tables:
            names = [n for n in raw if raw[n] != "never" and fnmatchcase(n, table.channel)]
            if not names or not fnmatchcase(device.tag, table.device):
                continue
            capture = Capture(table, outputs)
            self.captures.append(capture)
            for name in names:
                self._captures_of.setdefault(name, []).append(capture)
                length_s[name] = max(length_s.get(name, 0.0), table.pre_s + span_s)
        self._rings = {
            name: Ring(self._channels[name], length)
            for name, length in length_s.items()
            if raw[name] == "captured"
        }
        self._demand = ""
        # Event time of the end of the newest block.
        self._newest_ms = 0.0

    @property
    def nbytes(self) -> int:
        """The memory set aside."""
        return sum(ring.nbytes for ring in self._rings.values())

    @property
    def on_demand(self) -> bool:
        """Whether people may ask for a capture."""
        return any(capture.table.on_demand for capture in self.captures)

    def demand(self, reason: str) -> bool:
        """Capture around the end of the next block; say whether limits let it."""
        if not any(capture.takes_demand(self._newest_ms) for capture in self.captures):
            return False
        self._demand = reason
        return True

    def take(self, block: Block, fired: Sequence[tuple[Capture, Fired]]) -> Passed:
        """Return what goes out of a block in which captures fired."""
        begun = [capture for capture, cause in fired if capture.begin(cause)]
        begun += self._others(block)
        passed = Passed()
        released: list[tuple[str, Piece]] = []
        for name, values in block.samples.items():
            raw = self._raw.get(name, "always")
            if raw == "never":
                continue
            running = [
                capture
                for capture in self._captures_of.get(name, ())
                if capture in begun or capture.runs(block.start_time_ms)
            ]
            if running and not passed.label:
                passed.label = running[0].label
            if raw == "always":
                passed.samples[name] = values
            elif running:
                from_ms = min(capture.from_ms for capture in running)
                pieces = self._rings[name].take(from_ms)
                released += [(running[0].label, piece) for piece in pieces]
                until_ms = max(capture.until_ms for capture in running)
                self._part(passed, name, values, block.start_time_ms, (from_ms, until_ms))
            elif name in self._rings:
                self._rings[name].add(values, block.start_time_ms)
        passed.late = self._late(released)
        return passed

    def _others(self, block: Block) -> list[Capture]:
        """Begin the captures that the block's score, or somebody, asks for; return them."""
        if not self.captures:
            return []
        start_ms = end_ms = float(block.start_time_ms)
        for name in self._captures_of:
            if name in block.samples:
                period_ms = 1000.0 / self._channels[name].sample_rate_hz
                end_ms = max(end_ms, start_ms + block.samples[name].size * period_ms)
        self._newest_ms = end_ms
        demand, self._demand = self._demand, ""
        begun = []
        for capture in self.captures:
            if demand and capture.table.on_demand:
                cause: Fired | None = Fired(demand, end_ms, end_ms)
            else:
                cause = capture.scored(block.score, start_ms, end_ms)
            asked = bool(demand) and capture.table.on_demand
            if cause is not None and capture.begin(cause, demanded=asked):
                begun.append(capture)
        return begun

    def _part(
        self,
        passed: Passed,
        name: str,
        values: Samples,
        start_ms: int,
        span_ms: tuple[float, float],
    ) -> None:
        """Pass the part of a channel's samples on that lies in a span; keep the rest."""
        period_ms = 1000.0 / self._channels[name].sample_rate_hz
        first, last = (
            min(max(later(time_ms, start_ms, period_ms), 0), values.size) for time_ms in span_ms
        )
        for begin, end in ((0, first), (last, values.size)):
            if begin < end:
                self._rings[name].add(values[begin:end], start_ms + begin * period_ms)
        if first < last:
            passed.samples[name] = values[first:last]
            if offset_ms := round(first * period_ms):
                passed.offsets_ms[name] = offset_ms

    def _late(self, released: Sequence[tuple[str, Piece]]) -> list[Block]:
        """Return pieces as blocks in the order of time, those of one time and capture together."""
        together: dict[tuple[int, str], dict[str, Samples]] = {}
        for label, piece in released:
            key = (round(piece.start_ms), label)
            together.setdefault(key, {})[piece.channel] = piece.samples
        return [
            Block(self._device.tag, time_ms, samples, capture=label, late=True)
            for (time_ms, label), samples in sorted(together.items(), key=lambda item: item[0])
        ]
