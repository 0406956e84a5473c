"""ISO 13374 stage 1, data acquisition: telemetry in, validated frames in order out.

One `Acquisition` is the state of one edge node. It knows no engine and no clock: `now` comes in, in
seconds since the epoch, and is used for patience only (how long to wait for a gap or a birth).
Whether a time stamp is plausible is judged by the time at which the log stored the message, so that
reading it again judges the same.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Self

from edge_agent.v1.sparkplug_b_pb2 import Payload
from stream_processor import sparkplug
from stream_processor.acquisition_schema import SCHEMA
from stream_processor.arrivals import Arrived, Waiting
from stream_processor.batches import Batches, Turned
from stream_processor.births import Births
from stream_processor.devices import Devices
from stream_processor.frames import Frame
from stream_processor.messages import (
    Command,
    Mark,
    Message,
    Rebirth,
    Replay,
    SetAside,
    set_aside,
)
from stream_processor.reordering import SEQUENCED, Reordering
from stream_processor.replays import Replays, receipt, require_news
from stream_processor.sparkplug import BadInputError, Birth, Numbers
from stream_processor.spools import earlier_boots, lost_ranges
from stream_processor.unborn import Unborn
from stream_processor.v1 import dead_letter_pb2 as dl

REBIRTH_INTERVAL_S = 5.0
# Without its agent nobody can close a gap; after this long it is given up all the same.
ABSENCE_PATIENCE_S = 300.0
# A log read this far behind holds the answer to a gap further on.
BACKLOG_S = 2.0
FORBIDDEN = frozenset("/+#.*> \t\r\n")

Output = Frame | SetAside | Command


class Acquisition:
    """Births, order and counts of one edge node.

    `lateness_s` is how late, by event time, frames of a device may be whose birth does not say it.
    """

    def __init__(self, lateness_s: float = 0.0) -> None:
        self.site = ""
        self.edge_node = ""
        self.alive = True
        self.away_since = 0.0
        self.births = Births()
        self.order = Reordering()
        self.counts: Counter[str] = Counter()
        self.batches = Batches(self.counts)
        self.devices = Devices(self.counts, lateness_s)
        self.unborn = Unborn()
        self.replays = Replays()
        self.last_rebirth = 0.0
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
            found = self._take(message, kind, levels[3] if len(levels) == 4 else "", now)
        except BadInputError as error:
            found = [self._reject(message, error)]
            if error.reason == dl.DEAD_LETTER_REASON_UNDECODABLE:
                self.batches.doubt()
        return [*found, *self.devices.pass_by(message.received_ms)]

    def acquaint(self, message: Message) -> None:
        """Take a birth or a death from before what is to be read.

        It tells how to read what follows; the order of batches begins with the first that comes.

        Raises:
            BadInputError: it cannot be used.
        """
        self.site, kind, self.edge_node = message.levels[:3]
        equipment = "".join(message.levels[3:])
        match kind:
            case "NBIRTH":
                self.births.node(message.payload)
                self.alive = True
            case "DBIRTH":
                self.births.device(self.site, self.edge_node, equipment, message.payload)
            case "NDEATH":
                if self.births.node_death(message.payload, message.received_ms):
                    self.alive, self.away_since = False, message.received_ms / 1000
            case "DDEATH":
                died_ms = sparkplug.died_ms(message.payload, message.received_ms)
                self.births.device_death(equipment, died_ms)

    def tick(self, now: float) -> list[Output]:
        """Do what is due at `now`: ask for what is missing, give up what does not come."""
        found: list[Output] = []
        behind = self._lag_s > BACKLOG_S and now - self._last_arrival < BACKLOG_S
        away = not self.alive and now - self.away_since < ABSENCE_PATIENCE_S
        for item in self.batches.tick(self.site, self.edge_node, now, patient=behind or away):
            if isinstance(item, Arrived):
                found += self._release(item, now)
            else:
                found.append(item)
        if self.order.overdue(now):
            found += self._ask_for_births(now)
        return found + [self._no_birth(item) for item in self.unborn.expire(now)]

    def due(self) -> float | None:
        """Return when `tick` has something to do, in seconds since the epoch; None for never."""
        times = (self.batches.due, self.unborn.due, self.order.due)
        return min((time for time in times if time is not None), default=None)

    @property
    def held(self) -> int:
        """How many batches wait: behind a gap, for a birth, or for their place in event time."""
        behind = sum(len(sequence.held) for sequence in self.batches.sequences.values())
        return behind + self.unborn.count + self.devices.held

    def marks(self) -> list[Mark]:
        """Return how far each boot epoch has come where that is news, or was asked for again."""
        return self.batches.marks(self.site, self.edge_node, self._waiting)

    def watermarks(self) -> dict[str, float | None]:
        """Return the watermarks that are news, by `{site}/{equipment}`; None of who is away.

        Milliseconds since the epoch, of devices with a live clock.
        """
        return {
            f"{self.site}/{name}": None if self.births.stale_since_ms(name) else watermark_ms
            for name, watermark_ms in self.devices.moved().items()
        }

    def _waiting(self, epoch: int) -> list[int]:
        return self.unborn.batches(epoch) + self.devices.batches(epoch)

    def _take(self, message: Message, kind: str, equipment: str, now: float) -> list[Output]:
        if message.replay is not None:
            return self._replayed(message, message.replay, kind, equipment, now)
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
                if not self.births.node_death(message.payload, message.received_ms):
                    return []
                self.counts["deaths"] += 1
                self.alive, self.away_since = False, now
                return [*self.devices.silent()]
            case ("DDEATH", True):
                died_ms = sparkplug.died_ms(message.payload, message.received_ms)
                self.births.device_death(equipment, died_ms)
                self.counts["deaths"] += 1
                return [*self.devices.silent(equipment)]
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
        begun = self.batches.begin(earlier, numbers.boot_epoch, numbers.first_batch, now)
        return self._released(begun, now) + self._resume(now)

    def _device_birth(self, message: Message, equipment: str, now: float) -> list[Output]:
        self.births.device(self.site, self.edge_node, equipment, message.payload)
        self.counts["births"] += 1
        self.unborn.born(equipment)
        return self._resume(now)

    def _resume(self, now: float) -> list[Output]:
        """Take again what waited for a birth, in the order it came."""
        found: list[Output] = []
        for item in self.unborn.take(self._is_born):
            arrived = item.arrived
            birth = self.births.of(arrived.equipment, arrived.numbers.boot_epoch)
            if not item.sequenced:
                found += self._sequenced(arrived, now)
            elif birth is not None:
                found += self._block(arrived, birth, sparkplug.parse(arrived.message.payload))
        return found

    def _is_born(self, item: Waiting) -> bool:
        arrived = item.arrived
        if item.sequenced:
            return self.births.of(arrived.equipment, arrived.numbers.boot_epoch) is not None
        return self.births.announced(arrived.numbers)

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

    def _replayed(
        self, message: Message, replay: Replay, kind: str, equipment: str, now: float
    ) -> list[Output]:
        """Take what was a dead letter: once, and outside of the order of batches."""
        if not self.replays.add(replay):
            self.counts["replays_repeated"] += 1
            return []
        match kind, bool(equipment):
            case ("NBIRTH", False):
                require_news(self.births, "", message.payload)
                found, detail = self._node_birth(message, now), "taken as the node's birth"
            case ("DBIRTH", True):
                require_news(self.births, equipment, message.payload)
                found = self._device_birth(message, equipment, now)
                detail = f"taken as the birth of {equipment}"
            case ("NDATA", False):
                sparkplug.parse(message.payload)
                self.counts["processed"] += 1
                found, detail = [], "taken as what the node says of itself"
            case ("DDATA", True):
                found = self._replayed_block(message, equipment)
                late = any(isinstance(item, Frame) and item.late for item in found)
                detail = "taken late: for the historian alone" if late else "taken"
            case _:
                raise BadInputError(
                    dl.DEAD_LETTER_REASON_UNKNOWN_TOPIC, f"{message.topic} cannot be replayed"
                )
        self.counts["replayed"] += 1
        return [*found, receipt(message, replay, detail)]

    def _replayed_block(self, message: Message, equipment: str) -> list[Output]:
        payload = sparkplug.parse(message.payload)
        epoch = sparkplug.numbers(payload, self.births.aliases).epoch
        birth = self.births.of(equipment, epoch or 0)
        if birth is None:
            raise BadInputError(dl.DEAD_LETTER_REASON_NO_BIRTH, f"no birth of {equipment} is known")
        # Its batch is behind the mark of its boot and stays there.
        arrived = Arrived(message, Numbers(epoch, None), "DDATA", equipment, birth)
        return [*self.devices.take(arrived, birth, payload, self.births.aliases)]

    def _sequenced(
        self, arrived: Arrived, now: float, payload: Payload | None = None
    ) -> list[Output]:
        if arrived.kind == "NDATA":
            payload = payload or sparkplug.parse(arrived.message.payload)
            if ranges := lost_ranges(payload):
                return self._turned(arrived, self.batches.lose(arrived, ranges, now), now)
        birth = self.births.of(arrived.equipment, arrived.numbers.boot_epoch)
        born = Arrived(arrived.message, arrived.numbers, arrived.kind, arrived.equipment, birth)
        return self._turned(born, self.batches.offer(born, now), now, payload)

    def _turned(
        self, arrived: Arrived, turned: Turned, now: float, payload: Payload | None = None
    ) -> list[Output]:
        found: list[Output] = []
        if turned.error is not None:
            found.append(self._reject(arrived.message, turned.error))
        return found + self._released(turned.released, now, payload)

    def _released(
        self, released: list[Arrived], now: float, payload: Payload | None = None
    ) -> list[Output]:
        """Return what batches in order give; `payload` is the first one's, read already."""
        found: list[Output] = []
        for arrived in released:
            found += self._release(arrived, now, payload)
            payload = None
        return found

    def _release(
        self, arrived: Arrived, now: float, payload: Payload | None = None
    ) -> list[Output]:
        if arrived.kind == "NDATA":
            self.counts["processed"] += 1
            return []
        birth = arrived.birth or self.births.of(arrived.equipment, arrived.numbers.boot_epoch)
        if birth is None:
            return self._wait(arrived, now, sequenced=True)
        return self._block(arrived, birth, payload or sparkplug.parse(arrived.message.payload))

    def _block(self, arrived: Arrived, birth: Birth, payload: Payload) -> list[Output]:
        try:
            return [*self.devices.take(arrived, birth, payload, self.births.aliases)]
        except BadInputError as error:
            return [self._reject(arrived.message, error, arrived.trace_id)]

    def _wait(self, arrived: Arrived, now: float, sequenced: bool) -> list[Output]:
        waits, given_up = self.unborn.add(arrived, now, sequenced)
        found: list[Output] = [self._no_birth(item) for item in given_up]
        return found + (self._ask_for_births(now) if waits else [])

    def _ask_for_births(self, now: float) -> list[Output]:
        if now - self.last_rebirth < REBIRTH_INTERVAL_S:
            return []
        self.last_rebirth = now
        self.counts["rebirths"] += 1
        return [Rebirth(self.site, self.edge_node)]

    def _no_birth(self, item: Waiting) -> SetAside:
        arrived = item.arrived
        who = arrived.equipment if item.sequenced else f"boot epoch {arrived.numbers.boot_epoch}"
        error = BadInputError(dl.DEAD_LETTER_REASON_NO_BIRTH, f"no birth of {who} came")
        return self._reject(arrived.message, error, arrived.trace_id)

    def state(self) -> dict[str, Any]:
        """Return the state: `schema`, and values of built-in types only."""
        return {
            "schema": SCHEMA.version,
            "node": (self.site, self.edge_node, self.alive, self.away_since),
            "births": self.births.state(),
            "order": self.order.state(),
            "sequences": self.batches.state(),
            "devices": self.devices.state(),
            "waiting": self.unborn.state(),
            "replays": self.replays.state(),
            "last_rebirth": self.last_rebirth,
            "counts": dict(self.counts),
        }

    @classmethod
    def restore(cls, state: dict[str, Any], now: float, lateness_s: float = 0.0) -> Self:
        """Return the acquisition of `state`; patience starts anew at `now`.

        Raises:
            StateError: the schema is none that this code reads.
        """
        state = SCHEMA.current(state)
        self = cls(lateness_s)
        self.site, self.edge_node, self.alive, self.away_since = state["node"]
        node = self.site, self.edge_node
        self.births = Births.restore(state["births"], *node)
        self.order = Reordering.restore(state["order"])
        self.batches.restore(state["sequences"], *node, now)
        self.devices.restore(state["devices"], self.births.aliases, *node)
        self.unborn.restore(state["waiting"], *node, now)
        self.replays = Replays(state["replays"])
        self.last_rebirth = state["last_rebirth"]
        self.counts.update(state["counts"])
        return self
