"""ISO 13374 stage 1, data acquisition: telemetry in, validated frames in order out.

One `Acquisition` is the state of one edge node. It knows no engine and no clock: `now` comes in, in
seconds since the epoch, and is used for patience only (how long to wait for a gap or a birth).
Whether a time stamp is plausible is judged by the time at which the log stored the message, so that
reading it again judges the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

from edge_agent.v1.sparkplug_b_pb2 import Payload
from stream_processor import sparkplug
from stream_processor.arrivals import Arrived, Waiting
from stream_processor.births import Births
from stream_processor.frames import Frame
from stream_processor.messages import (
    Command,
    Mark,
    Message,
    Rebirth,
    Resend,
    SetAside,
    set_aside,
)
from stream_processor.plausibility import check_times
from stream_processor.reordering import SEQUENCED, Reordering
from stream_processor.sequence import Arrival, Sequence
from stream_processor.sparkplug import BadInputError, Birth
from stream_processor.spools import Ranges, earlier_boots, lost_ranges
from stream_processor.turns import Turns
from stream_processor.v1 import dead_letter_pb2 as dl

# 2: what an edge node said is lost. 3: what it said is still to come of earlier boots.
SCHEMA = 3
REBIRTH_INTERVAL_S = 5.0
# How long data waits for the birth that makes it readable, and how many blocks may.
BIRTH_PATIENCE_S = 12.0
MAX_WAITING = 64
# Without its agent nobody can close a gap; after this long it is given up all the same.
ABSENCE_PATIENCE_S = 300.0
# A log read this far behind holds the answer to a gap further on.
BACKLOG_S = 2.0
# A device that did not announce itself when asked is not waited for again for so long.
BARREN_S = 60.0
FORBIDDEN = frozenset("/+#.*> \t\r\n")
# More boots than an agent that keeps dying leaves in its spool while the broker is away.
REMEMBERED_EPOCHS = 256

Output = Frame | SetAside | Command


class Acquisition:
    """Births, order and counts of one edge node."""

    def __init__(self) -> None:
        self.site = ""
        self.edge_node = ""
        self.alive = True
        self.away_since = 0.0
        self.births = Births()
        self.order = Reordering()
        self.sequences: dict[int, Sequence[Arrived]] = {}
        self.turns = Turns(self.sequences)
        self.waiting: list[Waiting] = []
        self.barren_until: dict[str, float] = {}
        self.last_rebirth = 0.0
        self.last_times: dict[str, tuple[int, int]] = {}
        self.counts: Counter[str] = Counter()
        self._marks: dict[int, Mark] = {}
        self._again: set[int] = set()
        self._lag_s = 0.0
        self._last_arrival = 0.0

    def update(self, message: Message, now: float) -> list[Output]:
        """Take the next message of the log and return what it, and what waited for it, gives."""
        self.counts["received"] += 1
        self._lag_s, self._last_arrival = now - message.received_ms / 1000, now
        levels = message.levels
        try:
            self.site, kind, self.edge_node = levels[:3]
            if len(levels) > 4 or FORBIDDEN.intersection("".join(levels)):
                raise BadInputError(
                    dl.DEAD_LETTER_REASON_UNKNOWN_TOPIC, f"{message.topic} has no meaning"
                )
            return self._take(message, kind, levels[3] if len(levels) == 4 else "", now)
        except BadInputError as error:
            return [self._reject(message, error)]

    def tick(self, now: float) -> list[Output]:
        """Do what is due at `now`: ask for what is missing, give up what does not come."""
        found: list[Output] = []
        behind = self._lag_s > BACKLOG_S and now - self._last_arrival < BACKLOG_S
        away = not self.alive and now - self.away_since < ABSENCE_PATIENCE_S
        for epoch, sequence in sorted(self.sequences.items()):
            if sequence.due is None or now < sequence.due:
                continue
            if behind or away or self.turns.must_wait(epoch):
                sequence.postpone(now)
                continue
            report = sequence.look(now)
            for first, last in report.requests:
                self.counts["resends"] += 1
                found.append(Resend(self.site, self.edge_node, epoch, first, last))
            if report.requests and sequence.requests == 1:
                self.counts["gaps"] += len(report.requests)
            self.counts["lost"] += report.lost
            found += self._advance(epoch, now)
        if self.order.overdue(now):
            found += self._ask_for_births(now)
        return found + self._expire(now)

    def due(self) -> float | None:
        """Return when `tick` has something to do, in seconds since the epoch; None for never."""
        times = [s.due for s in self.sequences.values() if s.due is not None]
        times += [w.deadline for w in self.waiting]
        times += [] if self.order.due is None else [self.order.due]
        return min(times, default=None)

    def marks(self) -> list[Mark]:
        """Return how far each boot epoch has come where that is news, or was asked for again."""
        found = []
        for epoch, sequence in sorted(self.sequences.items()):
            waiting = [
                w.arrived.numbers.batch
                for w in self.waiting
                if w.sequenced and w.arrived.numbers.boot_epoch == epoch
            ]
            batch = min([sequence.watermark + 1, *(b for b in waiting if b is not None)]) - 1
            mark = Mark(self.site, self.edge_node, epoch, batch)
            if batch > 0 and (epoch in self._again or self._marks.get(epoch) != mark):
                self._marks[epoch] = mark
                found.append(mark)
        self._again.clear()
        return found

    def _take(self, message: Message, kind: str, equipment: str, now: float) -> list[Output]:
        if kind == "NBIRTH" or (kind in SEQUENCED and not self.births.numbered):
            self.order.hear(kind, message.payload, now)
        match kind, bool(equipment):
            case ("NBIRTH", False):
                return self._node_birth(message, now)
            case ("DBIRTH", True):
                return self._device_birth(message, equipment, now)
            case ("NDATA", False) | ("DDATA", True):
                return self._data(message, kind, equipment, now)
            case ("NDEATH", False):
                if self.births.node_death(message.payload, message.received_ms):
                    self.counts["deaths"] += 1
                    self.alive, self.away_since = False, now
                return []
            case ("DDEATH", True):
                died_ms = sparkplug.died_ms(message.payload, message.received_ms)
                self.births.device_death(equipment, died_ms)
                self.counts["deaths"] += 1
                return []
            case ("NCMD", False) | ("DCMD", True):
                self.counts["commands_seen"] += 1
                return []
        raise BadInputError(dl.DEAD_LETTER_REASON_UNKNOWN_TOPIC, f"{message.topic} has no meaning")

    def _reject(self, message: Message, error: BadInputError, trace: str = "") -> SetAside:
        aside = set_aside(message, error.reason, error.detail, trace)
        self.counts[f"dead_letters.{aside.reason}"] += 1
        return aside

    def _node_birth(self, message: Message, now: float) -> list[Output]:
        earlier = earlier_boots(sparkplug.parse(message.payload))
        numbers = self.births.node(message.payload)
        self.counts["births"] += 1
        self.alive = True
        found: list[Output] = []
        for epoch, (first, _) in sorted(earlier.items()):
            found += self._anchor(epoch, first, now)
        if numbers.first_batch is not None:
            found += self._anchor(numbers.boot_epoch, max(1, numbers.first_batch), now)
        self.turns.tell({epoch: last for epoch, (_, last) in earlier.items()})
        # Who waited for a boot of which nothing is left does so no more.
        for epoch in sorted(self.sequences):
            found += self._advance(epoch, now)
        return found + self._resume(now)

    def _anchor(self, epoch: int, first: int, now: float) -> list[Output]:
        sequence = self.sequences.get(epoch)
        if sequence is None:
            self._remember(epoch, Sequence(first - 1))
        elif first > sequence.watermark + 1:
            lost, released = sequence.skip_to(first, now)
            self.counts["lost"] += lost
            return self._released(released, now)
        return []

    def _remember(self, epoch: int, sequence: Sequence[Arrived]) -> None:
        self.sequences[epoch] = sequence
        while len(self.sequences) > REMEMBERED_EPOCHS:
            oldest = min(other for other in self.sequences if other != epoch)
            del self.sequences[oldest]
            self._marks.pop(oldest, None)

    def _device_birth(self, message: Message, equipment: str, now: float) -> list[Output]:
        self.births.device(self.site, self.edge_node, equipment, message.payload)
        self.counts["births"] += 1
        self.barren_until.pop(equipment, None)
        return self._resume(now)

    def _resume(self, now: float) -> list[Output]:
        """Take again what waited for a birth, in the order it came."""
        waiting, self.waiting = self.waiting, []
        found: list[Output] = []
        for item in waiting:
            arrived = item.arrived
            if not item.sequenced:
                if self.births.announced(arrived.numbers):
                    found += self._sequenced(arrived, now)
                else:
                    self.waiting.append(item)
            elif birth := self.births.of(arrived.equipment, arrived.numbers.boot_epoch):
                found.append(self._block(arrived, birth, sparkplug.parse(arrived.message.payload)))
            else:
                self.waiting.append(item)
        return found

    def _data(self, message: Message, kind: str, equipment: str, now: float) -> list[Output]:
        payload = sparkplug.parse(message.payload)
        numbers = sparkplug.numbers(payload, self.births.aliases)
        arrived = Arrived(message, numbers, kind, equipment, None)
        self.alive = True
        if numbers.batch is None:
            if self.births.numbered:
                raise BadInputError(
                    dl.DEAD_LETTER_REASON_WRONG_TYPE,
                    "it has no batch number, which the node's birth announced",
                )
            return self._release(arrived, now, payload)
        if not self.births.announced(numbers):
            return self._wait(arrived, now, sequenced=False)
        return self._sequenced(arrived, now, payload)

    def _sequenced(
        self, arrived: Arrived, now: float, payload: Payload | None = None
    ) -> list[Output]:
        numbers, batch = arrived.numbers, arrived.numbers.batch or 0
        sequence = self.sequences.get(numbers.boot_epoch)
        if sequence is None:
            # An earlier boot's spool: it comes from its lowest batch on.
            sequence = Sequence(batch - 1)
            self._remember(numbers.boot_epoch, sequence)
        self.turns.expect(numbers.boot_epoch, now)
        if arrived.kind == "NDATA":
            payload = payload or sparkplug.parse(arrived.message.payload)
            if ranges := lost_ranges(payload):
                return self._lose(arrived, sequence, ranges, now)
        held = Arrived(
            arrived.message,
            numbers,
            arrived.kind,
            arrived.equipment,
            self.births.of(arrived.equipment, numbers.boot_epoch),
        )
        match sequence.offer(batch, held, len(arrived.message.payload), now):
            case Arrival.DUPLICATE:
                self.counts["duplicated"] += 1
                self._again.add(numbers.boot_epoch)
            case Arrival.OVERFLOWED:
                self.counts["overflowed"] += 1
            case Arrival.NONSENSE:
                error = BadInputError(
                    dl.DEAD_LETTER_REASON_WRONG_TYPE,
                    f"batch {batch} comes after batch {sequence.watermark}",
                )
                return [self._reject(arrived.message, error)]
            case Arrival.RELEASED:
                return self._advance(numbers.boot_epoch, now, payload)
        return []

    def _lose(
        self, arrived: Arrived, sequence: Sequence[Arrived], ranges: Ranges, now: float
    ) -> list[Output]:
        """Take an NDATA that says which batches its edge node no longer has."""
        news, epoch = False, arrived.numbers.boot_epoch
        for first, last in ranges:
            match sequence.lose(first, last, now):
                case Arrival.OVERFLOWED:
                    self.counts["overflowed"] += 1
                case Arrival.NONSENSE:
                    error = BadInputError(
                        dl.DEAD_LETTER_REASON_WRONG_TYPE,
                        f"batches {first} to {last} are said to be lost after batch "
                        f"{sequence.watermark}",
                    )
                    return [self._reject(arrived.message, error), *self._advance(epoch, now)]
                case Arrival.RELEASED | Arrival.HELD:
                    news = True
        if not news:
            # It was not heard that these are behind us.
            self._again.add(epoch)
        return self._advance(epoch, now)

    def _advance(self, epoch: int, now: float, payload: Payload | None = None) -> list[Output]:
        lost, released = self.turns.release(epoch)
        self.counts["lost"] += lost
        return self._released(released, now, payload)

    def _released(
        self,
        released: Iterable[tuple[int, Arrived]],
        now: float,
        payload: Payload | None = None,
    ) -> list[Output]:
        """Return what batches in order give; `payload` is the first one's, read already."""
        found: list[Output] = []
        for _, arrived in released:
            found += self._release(
                arrived, now, payload or sparkplug.parse(arrived.message.payload)
            )
            payload = None
        return found

    def _release(self, arrived: Arrived, now: float, payload: Payload) -> list[Output]:
        if arrived.kind == "NDATA":
            self.counts["processed"] += 1
            return []
        birth = arrived.birth or self.births.of(arrived.equipment, arrived.numbers.boot_epoch)
        if birth is None:
            return self._wait(arrived, now, sequenced=True)
        return [self._block(arrived, birth, payload)]

    def _wait(self, arrived: Arrived, now: float, sequenced: bool) -> list[Output]:
        found: list[Output] = []
        item = Waiting(arrived, now + BIRTH_PATIENCE_S, sequenced)
        if now < self.barren_until.get(arrived.equipment, 0.0):
            return [self._no_birth(item)]
        if len(self.waiting) >= MAX_WAITING:
            found.append(self._no_birth(self.waiting.pop(0)))
        self.waiting.append(item)
        return found + self._ask_for_births(now)

    def _ask_for_births(self, now: float) -> list[Output]:
        if now - self.last_rebirth < REBIRTH_INTERVAL_S:
            return []
        self.last_rebirth = now
        self.counts["rebirths"] += 1
        return [Rebirth(self.site, self.edge_node)]

    def _expire(self, now: float) -> list[Output]:
        late = [w for w in self.waiting if w.deadline <= now]
        self.waiting = [w for w in self.waiting if w.deadline > now]
        self.barren_until = {e: until for e, until in self.barren_until.items() if until > now}
        for item in late:
            if item.sequenced:
                self.barren_until[item.arrived.equipment] = now + BARREN_S
        return [self._no_birth(item) for item in late]

    def _no_birth(self, item: Waiting) -> SetAside:
        arrived = item.arrived
        who = arrived.equipment if item.sequenced else f"boot epoch {arrived.numbers.boot_epoch}"
        return self._reject(
            arrived.message,
            BadInputError(
                dl.DEAD_LETTER_REASON_NO_BIRTH,
                f"no birth of {who} came",
            ),
            arrived.trace_id,
        )

    def _block(self, arrived: Arrived, birth: Birth, payload: Payload) -> Frame | SetAside:
        message, numbers, equipment = arrived.message, arrived.numbers, arrived.equipment
        live = birth.info.clock == "live"
        last_epoch, last = self.last_times.get(equipment, (numbers.boot_epoch, None))
        # A simulation or a replay that starts again may start earlier; a live clock may not.
        comparable = last if live or last_epoch == numbers.boot_epoch else None
        try:
            block = sparkplug.read_block(birth, payload, self.births.aliases)
            sent = payload.timestamp or message.received_ms
            late = bool(block.capture and comparable and block.start_time_ms < comparable)
            last = None if late else comparable
            check_times(block.start_time_ms, sent, message.received_ms, last, live)
        except BadInputError as error:
            return self._reject(message, error, arrived.trace_id)
        if not late:
            self.last_times[equipment] = (numbers.boot_epoch, block.start_time_ms)
        self.counts["processed"] += 1
        self.counts["frames"] += 1
        self.counts["missing_samples"] += block.missing
        self.counts["infinite_samples"] += block.infinite
        return Frame(
            birth.info,
            block.start_time_ms,
            sent,
            block.samples,
            block.edge_score,
            numbers.boot_epoch,
            numbers.batch or 0,
            message.log_sequence,
            sparkplug.is_historical(payload),
            arrived.trace_id,
            block.capture,
            late,
            block.offsets_ms,
        )

    def state(self) -> dict[str, Any]:
        """Return the state: `schema`, and values of built-in types only."""
        return {
            "schema": SCHEMA,
            "node": (self.site, self.edge_node, self.alive, self.away_since),
            "births": self.births.state(),
            "order": self.order.state(),
            "sequences": {
                epoch: (
                    s.watermark,
                    s.highest,
                    [(batch, a.plain(), size) for batch, (a, size) in s.held.items()],
                    list(s.lost),
                    s.told,
                )
                for epoch, s in self.sequences.items()
            },
            "waiting": [(w.arrived.plain(), w.deadline, w.sequenced) for w in self.waiting],
            "last_rebirth": self.last_rebirth,
            "last_times": dict(self.last_times),
            "counts": dict(self.counts),
        }

    @classmethod
    def restore(cls, state: dict[str, Any], now: float) -> Self:
        """Return the acquisition of `state`; patience starts anew at `now`.

        Raises:
            ValueError: the schema is newer than this code.
        """
        if state["schema"] > SCHEMA:
            raise ValueError(
                f"the state of acquisition has schema {state['schema']}, this code knows {SCHEMA}:"
                " run the version that wrote it"
            )
        self = cls()
        self.site, self.edge_node, self.alive, self.away_since = state["node"]
        self.births = Births.restore(state["births"], self.site, self.edge_node)
        # A state of before the sequence was watched has none.
        self.order = Reordering.restore(state.get("order"))
        for epoch, (watermark, highest, held, *more) in state["sequences"].items():
            sequence: Sequence[Arrived] = Sequence(watermark, highest)
            # States of before have neither, or not the second.
            sequence.lost = [(first, last) for first, last in more[0]] if more else []
            sequence.told = more[1] if len(more) > 1 else 0
            for batch, plain, size in held:
                sequence.held[batch] = (Arrived.from_plain(plain, self.site, self.edge_node), size)
                sequence.held_bytes += size
            sequence.postpone(now)
            self.sequences[epoch] = sequence
        self.turns = Turns(self.sequences)
        self.waiting = [
            Waiting(
                Arrived.from_plain(plain, self.site, self.edge_node),
                now + BIRTH_PATIENCE_S,
                sequenced,
            )
            for plain, _, sequenced in state["waiting"]
        ]
        self.last_rebirth = state["last_rebirth"]
        self.last_times = dict(state["last_times"])
        self.counts = Counter(state["counts"])
        return self
