"""What edge nodes say, as a host application hears it: births, aliases, sequence, deaths.

Modelled on Sparkplug 3.0, 5.4 to 5.12 and 6.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError

from edge_agent.drivers.base import BAD, GOOD, STALE, Quality
from edge_agent.sparkplug.metrics import (
    MetricError,
    Property,
    Table,
    Template,
    decode,
    decode_properties,
)
from edge_agent.v1 import sparkplug_b_pb2 as pb

BD_SEQ: Final = "bdSeq"
_QUALITIES: Final[Mapping[Any, Quality]] = {0: BAD, 192: GOOD, 500: STALE}
# What is kept of messages that came before one that lacks.
_MAX_AHEAD: Final = 128
_MAX_NODES: Final = 1000
_MAX_CELLS: Final = 10_000


class MessageError(ValueError):
    """A message is no Sparkplug payload, or not of its topic."""


@dataclass(frozen=True, slots=True)
class Known:
    """A metric as its birth declared it."""

    name: str
    datatype: int
    properties: Mapping[str, Property] = field(default_factory=dict)
    value: Any = None

    def text(self, key: str) -> str:
        """Return a property that is a text; empty when there is none."""
        found = self.properties.get(key)
        return found.value if found is not None and isinstance(found.value, str) else ""

    def number(self, key: str) -> float:
        """Return a property that is a number; 0 when there is none."""
        found = self.properties.get(key)
        value = found.value if found is not None else 0
        return float(value) if isinstance(value, int | float) else 0.0


@dataclass(frozen=True, slots=True)
class Value:
    """What a metric has: a number, or an array of them; None when it has none."""

    name: str
    value: float | np.ndarray[Any, np.dtype[Any]] | None
    time_ms: float
    quality: Quality
    is_past: bool


@dataclass(frozen=True, slots=True)
class Born:
    """A device, or an edge node itself, is there, with these metrics."""

    source: str
    metrics: Mapping[str, Known]


@dataclass(frozen=True, slots=True)
class Away:
    """A device, or an edge node and all of its devices, is away."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Values:
    """What a device, or an edge node itself, tells."""

    source: str
    values: tuple[Value, ...]


Event = Born | Away | Values
_Message = tuple[str, str, pb.Payload, float]


class _Node:
    """One edge node in its session."""

    def __init__(self) -> None:
        self.is_online = False
        self.bd_seq: int | None = None
        self.expected = 0
        self.aliases: dict[int, tuple[str, str]] = {}
        self.metrics: dict[str, dict[str, Known]] = {}
        # A birth may lack: what an alias stands for is not certain.
        self.is_doubted = False
        self.ahead: dict[int, _Message] = {}
        self.lacks_since = 0.0


class EdgeNodes:
    """The edge nodes of a group.

    `wanting` are those whose births are to be asked for; whoever asks takes them out. Times `now`
    are seconds that only grow.
    """

    def __init__(self, reorder_s: float) -> None:
        self._reorder_s = reorder_s
        self._nodes: dict[str, _Node] = {}
        self.wanting: set[str] = set()
        self.problems: list[str] = []
        self.duplicates = self.gaps = 0

    def forget(self) -> None:
        """Begin anew: what was said while nobody listened is not known."""
        self._nodes.clear()

    @property
    def known(self) -> list[str]:
        """The edge nodes that were heard of."""
        return list(self._nodes)

    def metrics(self, source: str) -> Mapping[str, Known]:
        """Return the metrics of a device that is there; none when it is away."""
        node = self._nodes.get(source.partition("/")[0])
        return node.metrics.get(source, {}) if node is not None and node.is_online else {}

    def take(
        self, kind: str, name: str, device: str, content: bytes, arrival_ms: float, now: float
    ) -> Iterator[Event]:
        """Take a message of an edge node, such as `DDATA`; yield what it says.

        Raises:
            MessageError: it is no Sparkplug payload.
        """
        try:
            payload = pb.Payload.FromString(content)
        except DecodeError as error:
            raise MessageError(f"no Sparkplug payload: {error}") from error
        if name not in self._nodes and len(self._nodes) >= _MAX_NODES:
            raise MessageError(f"more than {_MAX_NODES} edge nodes")
        node = self._nodes.setdefault(name, _Node())
        if kind == "NBIRTH":
            yield from self._node_birth(name, node, payload, arrival_ms)
        elif kind == "NDEATH":
            yield from self._node_death(name, node, payload)
        elif not node.is_online:
            self.wanting.add(name)
        else:
            yield from self._in_sequence(name, node, (kind, device, payload, arrival_ms), now)

    def overdue(self, now: float) -> Iterator[Event]:
        """Yield what waited for messages that do not come; the births are wanted then."""
        for name, node in self._nodes.items():
            if node.ahead and now - node.lacks_since >= self._reorder_s:
                self.gaps += 1
                self.wanting.add(name)
                node.is_doubted = True
                ahead, node.ahead = node.ahead, {}
                for sequence in sorted(ahead, key=lambda s: (s - node.expected) % 256):
                    node.expected = (sequence + 1) % 256
                    yield from self._process(name, node, ahead[sequence])

    def _in_sequence(
        self, name: str, node: _Node, message: _Message, now: float
    ) -> Iterator[Event]:
        payload = message[2]
        if not payload.HasField("seq"):
            self.problems.append(f"{name}: a message without seq")
            yield from self._process(name, node, message)
            return
        ahead = (payload.seq - node.expected) % 256
        if ahead >= _MAX_AHEAD:
            self.duplicates += 1
            return
        if ahead:
            if not node.ahead:
                node.lacks_since = now
            node.ahead[payload.seq] = message
            return
        node.expected = (node.expected + 1) % 256
        yield from self._process(name, node, message)
        while (waiting := node.ahead.pop(node.expected, None)) is not None:
            node.expected = (node.expected + 1) % 256
            yield from self._process(name, node, waiting)
        # Others lack still: they have their own time.
        node.lacks_since = now

    def _node_birth(
        self, name: str, node: _Node, payload: pb.Payload, arrival_ms: float
    ) -> Iterator[Event]:
        fresh = _Node()
        fresh.is_online = True
        fresh.bd_seq = _bd_seq(payload)
        fresh.expected = (payload.seq + 1) % 256
        for source in node.metrics:
            if source != name:
                # Until its own birth.
                yield Away(source, "the edge node was born anew")
        self._nodes[name] = fresh
        self.wanting.discard(name)
        yield from self._birth(fresh, name, payload, arrival_ms)

    def _node_death(self, name: str, node: _Node, payload: pb.Payload) -> Iterator[Event]:
        number = _bd_seq(payload)
        if not node.is_online:
            return
        if number != node.bd_seq:
            # The will of an earlier session (Sparkplug 3.0, 6.4.25).
            return
        node.is_online = False
        for source in dict.fromkeys((*node.metrics, name)):
            yield Away(source, "the edge node died")
        node.metrics.clear()
        node.aliases.clear()
        node.ahead.clear()

    def _process(self, name: str, node: _Node, message: _Message) -> Iterator[Event]:
        kind, device, payload, arrival_ms = message
        source = f"{name}/{device}" if device else name
        if kind == "DBIRTH":
            yield from self._birth(node, source, payload, arrival_ms)
        elif kind == "DDEATH":
            if node.metrics.pop(source, None) is not None:
                yield Away(source, "the device died")
        elif kind in ("NDATA", "DDATA"):
            if source not in node.metrics:
                self.wanting.add(name)
                return
            yield Values(source, tuple(self._values(name, node, source, payload, arrival_ms)))

    def _birth(
        self, node: _Node, source: str, payload: pb.Payload, arrival_ms: float
    ) -> Iterator[Event]:
        known: dict[str, Known] = {}
        values: list[Value] = []
        for metric in payload.metrics:
            if not metric.name or metric.name == BD_SEQ:
                continue
            try:
                value = decode(metric)
                properties = decode_properties(metric.properties)
            except MetricError as error:
                self.problems.append(f"{source}: {metric.name}: {error}")
                continue
            known[metric.name] = Known(metric.name, metric.datatype, properties, value)
            if metric.HasField("alias"):
                node.aliases[metric.alias] = source, metric.name
            values += _flat_values(metric, metric.name, value, properties, payload, arrival_ms)
        node.metrics[source] = known
        yield Born(source, known)
        yield Values(source, tuple(values))

    def _values(
        self, name: str, node: _Node, source: str, payload: pb.Payload, arrival_ms: float
    ) -> Iterator[Value]:
        for metric in payload.metrics:
            called = metric.name
            if not called:
                if node.is_doubted:
                    continue
                of, called = node.aliases.get(metric.alias, ("", ""))
                if of != source:
                    self.wanting.add(name)
                    continue
            known = node.metrics[source].get(called)
            if known is None:
                self.wanting.add(name)
                continue
            try:
                value = decode(metric, known.datatype)
                properties = decode_properties(metric.properties)
            except MetricError as error:
                self.problems.append(f"{source}: {called}: {error}")
                continue
            yield from _flat_values(metric, called, value, properties, payload, arrival_ms)


def _bd_seq(payload: pb.Payload) -> int | None:
    for metric in payload.metrics:
        if metric.name == BD_SEQ:
            return int(metric.long_value or metric.int_value)
    return None


def _flat_values(
    metric: pb.Metric,
    name: str,
    value: Any,
    properties: Mapping[str, Property],
    payload: pb.Payload,
    arrival_ms: float,
) -> Iterator[Value]:
    time_ms = float(metric.timestamp or payload.timestamp or arrival_ms)
    said = properties.get("Quality")
    quality = GOOD if said is None else _QUALITIES.get(said.value, BAD)
    for at, one in flattened(name, value):
        good = quality if one is not None else BAD
        yield Value(at, one, time_ms, good, metric.is_historical)


def flattened(
    name: str, value: Any
) -> Iterator[tuple[str, float | np.ndarray[Any, np.dtype[Any]] | None]]:
    """Yield what of a metric is a number or an array of them, or null, with its path.

    A cell of a table is `metric/column`, with several rows `metric/row/column`; a member of a
    template is `metric/member`.
    """
    if value is None:
        yield name, None
    elif isinstance(value, bool | int | float):
        yield name, float(value)
    elif isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, Table):
        for row, cells in enumerate(value.rows[:_MAX_CELLS]):
            base = f"{name}/{row}" if len(value.rows) > 1 else name
            for column, cell in zip(value.columns, cells, strict=False):
                yield from flattened(f"{base}/{column}", cell)
    elif isinstance(value, Template):
        for member in value.members:
            yield from flattened(f"{name}/{member.name}", member.value)
