"""The devices of one edge node: their batches become frames, in the order of event time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge_agent.v1.sparkplug_b_pb2 import Payload
from stream_processor import sparkplug
from stream_processor.arrivals import Arrived
from stream_processor.event_time import MAX_LATENESS_S, Timeline, When
from stream_processor.frames import EquipmentInfo, Frame
from stream_processor.plausibility import check_times
from stream_processor.sparkplug import Birth, Block

# The fact that says how late a device's frames may be, in seconds.
LATENESS_FACT = "Lateness"


@dataclass(frozen=True, slots=True)
class Ready:
    """A frame, and the batch it was read from."""

    frame: Frame
    arrived: Arrived


class Devices:
    """The timelines of one edge node's devices; what is late or out of order is counted."""

    def __init__(self, counts: Counter[str], lateness_s: float) -> None:
        self.timelines: dict[str, Timeline[Ready]] = {}
        self._counts = counts
        self._lateness_s = lateness_s
        # Devices of which a frame waits, and those whose watermark is news.
        self._waiting: set[str] = set()
        self._moved: set[str] = set()

    @property
    def held(self) -> int:
        """How many frames wait for their place in event time."""
        return sum(len(self.timelines[name].held) for name in self._waiting)

    def _lateness_ms(self, info: EquipmentInfo) -> float:
        """Return how late a device's frames may be: as its birth says, else as the setting does."""
        said = info.facts.get(LATENESS_FACT)
        if isinstance(said, int | float) and math.isfinite(said) and said >= 0.0:
            return 1000.0 * min(float(said), MAX_LATENESS_S)
        return 1000.0 * self._lateness_s

    def take(
        self, arrived: Arrived, birth: Birth, payload: Payload, aliases: Mapping[int, str]
    ) -> list[Frame]:
        """Return the frames that a batch lets go on: itself, late or not, and what waited for it.

        `aliases` are those of the batch numbers.

        Raises:
            BadInputError: it cannot be read, or its times are not plausible.
        """
        block = sparkplug.read_block(birth, payload, aliases)
        frame = _frame(arrived, birth, payload, block)
        start_ms, live = frame.start_time_ms, frame.info.clock == "live"
        timeline = self.timelines.get(arrived.equipment)
        if timeline is None:
            timeline = self.timelines[arrived.equipment] = Timeline(frame.boot_epoch)
        replayed = arrived.message.replay is not None
        again = not (live or replayed) and timeline.boot_epoch != frame.boot_epoch
        last_ms = None if again else timeline.newest_ms
        check_times(start_ms, frame.sent_time_ms, arrived.message.received_ms, last_ms, live)
        self._counts["missing_samples"] += block.missing
        self._counts["infinite_samples"] += block.infinite
        if live:
            self._moved.add(arrived.equipment)
        found: list[Frame] = []
        if again and timeline.is_late(start_ms):
            # A simulation or a replay that starts again may start earlier; a live clock may not.
            found = self._released(timeline.begin_anew(start_ms))
        lateness_ms = self._lateness_ms(frame.info)
        if lateness_ms == 0.0 and timeline.goes_on(start_ms):
            self._counts["processed"] += 1
            self._counts["frames"] += 1
            found.append(frame)
        else:
            placed = timeline.offer(
                Ready(frame, replace(arrived, birth=birth)),
                _when(frame, arrived),
                len(arrived.message.payload),
                lateness_ms,
                tells=not (frame.capture or frame.is_historical or replayed),
                live=live,
            )
            if placed.late:
                self._counts["processed"] += 1
                self._counts["late_frames"] += 1
                return [replace(frame, late=True)]
            self._counts["clock_steps"] += placed.stepped
            self._note(arrived.equipment, timeline)
            found += self._released(placed.released)
        if not replayed:
            timeline.boot_epoch = frame.boot_epoch
        return found

    def _released(self, ready: list[Ready]) -> list[Frame]:
        self._counts["processed"] += len(ready)
        self._counts["frames"] += len(ready)
        return [item.frame for item in ready]

    def _note(self, equipment: str, timeline: Timeline[Ready]) -> None:
        if timeline.held:
            self._waiting.add(equipment)
        else:
            self._waiting.discard(equipment)

    def pass_by(self, stored_ms: int) -> list[Frame]:
        """Return what waits no more since the log has been read up to `stored_ms`."""
        found = []
        for equipment in sorted(self._waiting):
            timeline = self.timelines[equipment]
            found += self._released(timeline.release(stored_ms))
            self._note(equipment, timeline)
        return found

    def silent(self, equipment: str = "") -> list[Frame]:
        """Return what waited for a device, or for all of them, of which nothing more will come."""
        found = []
        for name in [equipment] if equipment else sorted(self.timelines):
            self._moved.add(name)
            if name in self._waiting:
                self._waiting.discard(name)
                found += self._released(self.timelines[name].flush())
        return found

    def moved(self) -> dict[str, float | None]:
        """Return the watermarks, in milliseconds since the epoch, that are news since last asked.

        Those of live clocks only; None of a device that has not begun.
        """
        lines = {name: self.timelines.get(name) for name in self._moved}
        self._moved.clear()
        return {name: line.watermark_ms if line else None for name, line in lines.items()}

    def batches(self, epoch: int) -> list[int]:
        """Return the numbers of a boot epoch's batches that wait for their place in time."""
        return [
            held.item.frame.batch
            for name in self._waiting
            for held in self.timelines[name].held
            if held.item.frame.boot_epoch == epoch and held.item.frame.batch
        ]

    def state(self) -> dict[str, tuple[Any, ...]]:
        """Return the timelines, and the batches that wait, as values of built-in types."""
        return {
            name: (line.state(), [held.item.arrived.plain() for held in line.held])
            for name, line in self.timelines.items()
        }

    def restore(
        self, state: Mapping[str, Any], aliases: Mapping[int, str], site: str, edge_node: str
    ) -> None:
        """Take over what `state` wrote; `aliases` are those of the batch numbers."""
        for name, (line, waiting) in state.items():
            timeline = self.timelines[name] = Timeline[Ready].restore(line)
            for plain in waiting:
                arrived = Arrived.from_plain(plain, site, edge_node)
                assert arrived.birth is not None
                payload = sparkplug.parse(arrived.message.payload)
                block = sparkplug.read_block(arrived.birth, payload, aliases)
                frame = _frame(arrived, arrived.birth, payload, block)
                when = _when(frame, arrived)
                timeline.keep(Ready(frame, arrived), when, len(arrived.message.payload))
                self._waiting.add(name)


def _frame(arrived: Arrived, birth: Birth, payload: Payload, block: Block) -> Frame:
    message, numbers = arrived.message, arrived.numbers
    return Frame(
        birth.info,
        block.start_time_ms,
        payload.timestamp or message.received_ms,
        block.samples,
        block.edge_score,
        numbers.boot_epoch,
        numbers.batch or 0,
        message.log_sequence,
        sparkplug.is_historical(payload),
        arrived.trace_id,
        block.capture,
        offsets_ms=block.offsets_ms,
    )


def _when(frame: Frame, arrived: Arrived) -> When:
    message = arrived.message
    paced_ms = message.received_ms if arrived.numbers.batch is None else frame.sent_time_ms
    return When(frame.start_time_ms, frame.span_ms, paced_ms, message.received_ms)
