"""Read the points of a device in as few requests as it allows, and learn what it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from edge_agent.drivers.base import Samples
from edge_agent.drivers.modbus.connection import Answer, Connection, NoAnswer, Refused
from edge_agent.drivers.modbus.options import BITS, MAX_BITS, DeviceTable, Table
from edge_agent.drivers.modbus.plan import Read, Span, pieces, plan_reads
from edge_agent.drivers.modbus.point import PointReader

log = structlog.get_logger(__name__)

# How a point may be read: with others across gaps, with neighbours, by itself, not at all.
_ACROSS, _BESIDE, _ALONE, _NOT = range(4)
_BITS_A_REGISTER: Final = 16
# How often in a row a device that is there may be silent to a read before it counts as refused.
_SILENT_FOR_GOOD: Final = 3


class Reading:
    """The points of one device over one connection.

    What a device refuses in one request is asked for point by point. A point that is refused by
    itself is read no more, until `forget`; the others are read together again, as far as the device
    lets them. So it goes with what a device is silent to while it answers to something else.
    """

    def __init__(self, device: DeviceTable, connection: Connection) -> None:
        self.points = [PointReader.of(device, point) for point in device.points if point.read]
        self._device, self._connection = device, connection
        self._manner = dict.fromkeys(range(len(self.points)), _ACROSS)
        self._plans: dict[tuple[int, ...], list[tuple[Table, Read]]] = {}
        self._said: set[int] = set()
        self._sequences: dict[int, int] = {}
        self._answered: int | None = None
        self._silences: Counter[tuple[Table, int, int]] = Counter()

    @property
    def refused(self) -> int:
        """How many points are read no more."""
        return sum(manner == _NOT for manner in self._manner.values())

    def forget(self) -> None:
        """Try again what was refused: the device may be another one by now."""
        self._manner = dict.fromkeys(self._manner, _ACROSS)
        self._plans.clear()
        self._sequences.clear()
        self._answered = None
        self._silences.clear()

    async def values(self, due: Sequence[int]) -> dict[int, float]:
        """Return the values of scalar points by their places; what has none is left out.

        Raises:
            NoAnswer: the device is away.
        """
        values: dict[int, float] = {}
        for table, read in self._plan(tuple(due)):
            try:
                raw = await self._read(table, read.address, read.count, read.members)
            except Refused as error:
                if error.for_good:
                    values |= await self._apart(read, error)
                continue
            for place in read.members:
                span = self.points[place].span
                first = span.address - read.address
                values[place] = self.points[place].value(raw[first : first + span.count])
        self._welcome(values)
        return values

    async def waveform(self, place: int) -> Samples | None:
        """Return the samples of a waveform, or None when there is no new one.

        Raises:
            NoAnswer: the device is away.
        """
        if self._manner[place] == _NOT:
            return None
        try:
            # A waveform that was replaced while it was read is read once more.
            for _ in range(2):
                before = await self._sequence(place)
                if before is not None and before == self._sequences.get(place):
                    return None
                samples = await self._samples(place)
                if before is None or before == await self._sequence(place):
                    if before is not None:
                        self._sequences[place] = before
                    self._welcome((place,))
                    return samples
        except Refused as error:
            if error.for_good:
                self._refuse(place, error)
        return None

    async def _read(self, table: Table, address: int, count: int, members: Sequence[int]) -> Answer:
        """Read for some points.

        Raises:
            NoAnswer: the device is away.
            Refused: the device is there, but does not give this.
        """
        try:
            raw = await self._connection.read(self._device.unit_id, table, address, count)
        except NoAnswer as error:
            if not await self._is_there(members):
                raise
            # Once or twice it may have been slow.
            self._silences[table, address, count] += 1
            for_good = self._silences[table, address, count] >= _SILENT_FOR_GOOD
            last = address + count - 1
            raise Refused(f"silent to {table} {address} to {last}", for_good) from error
        self._answered = members[0]
        if self._silences:
            self._silences.pop((table, address, count), None)
        return raw

    async def _is_there(self, silent: Sequence[int]) -> bool:
        """Return True when the device answers to a point that it answered to before."""
        if self._answered is None or self._answered in silent:
            return False
        point = self.points[self._answered]
        try:
            await self._connection.read(
                self._device.unit_id, point.table, point.span.address, point.registers
            )
        except NoAnswer:
            return False
        except Refused:
            return True
        return True

    async def _sequence(self, place: int) -> int | None:
        span = self.points[place].sequence
        if span is None:
            return None
        return int((await self._read(self.points[place].table, span.address, 1, (place,)))[0])

    async def _samples(self, place: int) -> Samples:
        point = self.points[place]
        raw: list[int] = []
        for piece in pieces(point.span, self._device.max_registers):
            raw += await self._read(point.table, piece.address, piece.count, (place,))
        return point.values(raw)

    async def _apart(self, read: Read, error: Refused) -> dict[int, float]:
        """Return the values that the device gives one by one of what it refused together."""
        if len(read.members) == 1:
            self._refuse(read.members[0], error)
            return {}
        values: dict[int, float] = {}
        refused = 0
        for place in read.members:
            point = self.points[place]
            try:
                values[place] = point.value(
                    await self._read(point.table, point.span.address, point.span.count, (place,))
                )
            except Refused as own:
                if own.for_good:
                    refused += 1
                    self._refuse(place, own)
        for place in values:
            # Without the refused ones they may go together; if that was not it, not so closely.
            if not refused or self._manner[place] == _ACROSS:
                self._manner[place] += 1
        self._plans.clear()
        return values

    def _refuse(self, place: int, error: Refused) -> None:
        self._manner[place] = _NOT
        self._plans.clear()
        if place not in self._said:
            self._said.add(place)
            point = self.points[place]
            log.warning(
                "point refused, left out",
                device=self._device.tag,
                point=point.name,
                address=point.address,
                reason=str(error),
            )

    def _welcome(self, places: Iterable[int]) -> None:
        for place in self._said.intersection(places) if self._said else ():
            self._said.discard(place)
            log.info("point is back", device=self._device.tag, point=self.points[place].name)

    def _plan(self, due: tuple[int, ...]) -> list[tuple[Table, Read]]:
        found = self._plans.get(due)
        if found is None:
            found = self._plans[due] = list(self._planned(due))
        return found

    def _planned(self, due: tuple[int, ...]) -> Sequence[tuple[Table, Read]]:
        planned: list[tuple[Table, Read]] = []
        for table in dict.fromkeys(self.points[place].table for place in due):
            size = _BITS_A_REGISTER if table in BITS else 1
            limit = min(MAX_BITS, self._device.max_registers * size)
            for manner, gap in ((_ACROSS, self._device.max_gap * size), (_BESIDE, 0), (_ALONE, -1)):
                places = [
                    place
                    for place in due
                    if self.points[place].table == table and self._manner[place] == manner
                ]
                spans: list[Span] = [self.points[place].span for place in places]
                groups = [[i] for i in range(len(spans))] if gap < 0 else [list(range(len(spans)))]
                for group in groups:
                    for read in plan_reads([spans[i] for i in group], limit, max(gap, 0)):
                        members = tuple(places[group[i]] for i in read.members)
                        planned.append((table, Read(read.address, read.count, members)))
        return planned
