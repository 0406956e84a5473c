"""What a server offers: variables below a node, with what is said about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from asyncua import ua

from edge_agent.drivers.base import Point
from edge_agent.drivers.opcua.library import AttributeIds, ObjectIds, node_id
from edge_agent.drivers.opcua.nodes import Address, BrowsePath, NodeAddress
from edge_agent.drivers.opcua.session import Session
from edge_agent.drivers.opcua.units import unit_of

log = structlog.get_logger(__name__)

# Beyond these a tree is not listed to its end; loops end by themselves.
MAX_NODES: Final = 50_000
MAX_DEPTH: Final = 24
_SHOWN: Final = 60
_ENGINEERING_UNITS, _RANGES = "EngineeringUnits", ("InstrumentRange", "EURange")
SAMPLE_RATE: Final = "SampleRate"


@dataclass(slots=True)
class Variable:
    """A variable on its way down from a root.

    `kind` is the name of its built-in type, `low` and `high` its instrument's range, else that of
    normal operation.
    """

    node: ua.NodeId
    address: NodeAddress
    names: tuple[str, ...]
    kind: str = ""
    is_array: bool = False
    unit: str = ""
    value: object = None
    is_writable: bool = False
    description: str = ""
    low: float | None = None
    high: float | None = None
    sample_rate_hz: float | None = None
    properties: dict[str, ua.NodeId] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Open:
    """A node whose children are not yet known; `variable` when it is one."""

    node: ua.NodeId
    names: tuple[str, ...]
    place: tuple[int, ...]
    variable: Variable | None


async def resolve(
    session: Session, addresses: Iterable[Address]
) -> tuple[dict[Address, ua.NodeId], dict[Address, str]]:
    """Find the node of each address; return those found, and why the others were not."""
    found: dict[Address, ua.NodeId] = {}
    missing: dict[Address, str] = {}
    paths: list[BrowsePath] = []
    for address in addresses:
        if isinstance(address, BrowsePath):
            paths.append(address)
            continue
        try:
            found[address] = session.node_id(address)
        except LookupError as error:
            missing[address] = str(error)
    reached: dict[tuple[str, ...], ua.NodeId] = {(): node_id(ObjectIds.ObjectsFolder)}
    for depth in range(max((len(path.names) for path in paths), default=0)):
        wanted = {path.names[: depth + 1] for path in paths if len(path.names) > depth}
        parents = [names for names in dict.fromkeys(w[:-1] for w in wanted) if names in reached]
        for parent, below in zip(
            parents, await session.browse([reached[names] for names in parents]), strict=True
        ):
            for reference in below:
                names = (*parent, reference.BrowseName.Name)
                if names in wanted:
                    reached.setdefault(names, target_of(reference))
    for path in paths:
        if path.names in reached:
            found[path] = reached[path.names]
        else:
            missing[path] = f"there is no {path} below Objects"
    return found, missing


async def variables_below(session: Session, root: ua.NodeId) -> list[Variable]:
    """Return the variables below a node depth first, each once; properties of variables are none.

    Source of EngineeringUnits and ranges: OPC 10000-8, 5.3.2.
    """
    found: list[tuple[tuple[int, ...], Variable]] = []
    seen = {root}
    level = [_Open(root, (), (), None)]
    for _ in range(MAX_DEPTH):
        if not level or len(seen) > MAX_NODES:
            break
        below = await session.browse([opened.node for opened in level])
        level = _descend(session, level, below, seen, found)
    if len(seen) > MAX_NODES:
        log.warning("server has more nodes than are listed", listed=len(seen))
    variables = [variable for _, variable in sorted(found, key=lambda entry: entry[0])]
    await _describe(session, variables)
    return variables


def _descend(
    session: Session,
    level: Sequence[_Open],
    below: Sequence[Sequence[ua.ReferenceDescription]],
    seen: set[ua.NodeId],
    found: list[tuple[tuple[int, ...], Variable]],
) -> list[_Open]:
    """Note the variables of a level; return what is to be opened next."""
    following: list[_Open] = []
    for parent, references in zip(level, below, strict=True):
        for number, reference in enumerate(references):
            node = target_of(reference)
            is_property = reference.ReferenceTypeId == node_id(ObjectIds.HasProperty)
            if parent.variable is not None and is_property:
                parent.variable.properties[reference.BrowseName.Name] = node
                continue
            if node in seen or _is_standard(parent, node):
                continue
            seen.add(node)
            names, place = (*parent.names, reference.BrowseName.Name), (*parent.place, number)
            variable = None
            if reference.NodeClass == ua.NodeClass.Variable:
                try:
                    address = session.address(node)
                except LookupError:
                    continue
                variable = Variable(node, address, names)
                found.append((place, variable))
            following.append(_Open(node, names, place, variable))
    return following


def _is_standard(parent: _Open, node: ua.NodeId) -> bool:
    """Return True for the server's own objects under Objects: nothing of a machine."""
    objects = node_id(ObjectIds.ObjectsFolder)
    return parent.node == objects and node.NamespaceIndex == 0


async def _describe(session: Session, variables: Sequence[Variable]) -> None:
    """Read value, type, access and the properties that matter of every variable."""
    nodes = [variable.node for variable in variables]
    values = await session.read(nodes, AttributeIds.Value)
    access = await session.read(nodes, AttributeIds.UserAccessLevel)
    texts = await session.read(nodes, AttributeIds.Description)
    types = await session.read(nodes, AttributeIds.DataType)
    ranks = await session.read(nodes, AttributeIds.ValueRank)
    for variable, value, level, text, kind, rank in zip(
        variables, values, access, texts, types, ranks, strict=True
    ):
        if _value(value) is not None:
            variable.kind = value.Value.VariantType.name
            variable.is_array = bool(value.Value.is_array)
            variable.value = value.Value.Value
        else:
            variable.kind = built_in(_value(kind))
            variable.is_array = isinstance(said := _value(rank), int) and said >= 1
        bits = _value(level)
        variable.is_writable = isinstance(bits, int) and bool(
            bits & 1 << ua.AccessLevel.CurrentWrite
        )
        described = _value(text)
        if isinstance(described, ua.LocalizedText) and described.Text:
            variable.description = described.Text
    wanted = (_ENGINEERING_UNITS, *_RANGES, SAMPLE_RATE)
    asked = [
        (variable, name, variable.properties[name])
        for variable in variables
        for name in wanted
        if name in variable.properties
    ]
    told = await session.read([node for _, _, node in asked], AttributeIds.Value)
    for (variable, name, _), value in zip(asked, told, strict=True):
        _take_property(variable, name, _value(value))


def _take_property(variable: Variable, name: str, value: object) -> None:
    if name == _ENGINEERING_UNITS and isinstance(value, ua.EUInformation):
        shown = value.DisplayName.Text if value.DisplayName else ""
        variable.unit = unit_of(value.NamespaceUri or "", value.UnitId, shown or "")
    elif name in _RANGES and isinstance(value, ua.Range):
        # InstrumentRange comes first and is the wider one.
        if value.High > value.Low and variable.low is None:
            variable.low, variable.high = value.Low, value.High
    elif name == SAMPLE_RATE and isinstance(value, int | float) and value > 0:
        variable.sample_rate_hz = float(value)
        # As long as there is no value, this tells it from a single one.
        variable.is_array = variable.is_array or variable.value is None


def built_in(data_type: object) -> str:
    """Return the name of a built-in type; empty for any other."""
    if not isinstance(data_type, ua.NodeId) or data_type.NamespaceIndex:
        return ""
    try:
        return str(ua.VariantType(int(data_type.Identifier)).name)
    except (ValueError, TypeError):
        return ""


async def range_of(session: Session, node: ua.NodeId) -> tuple[float | None, float | None]:
    """Return the range that a variable's values lie in, None where it has none."""
    (below,) = await session.browse([node])
    variable = Variable(node, NodeAddress("i", 0), ())
    for name in _RANGES:
        for reference in below:
            if reference.BrowseName.Name == name:
                (value,) = await session.read([target_of(reference)], AttributeIds.Value)
                _take_property(variable, name, _value(value))
    return variable.low, variable.high


async def points_of(session: Session) -> list[Point]:
    """Return every variable below Objects for people, depth first."""
    root = node_id(ObjectIds.ObjectsFolder)
    return [
        Point(
            address=str(variable.address),
            name="/".join(variable.names),
            kind=variable.kind + "[]" * variable.is_array,
            unit=variable.unit,
            value=_shown(variable.value),
            writable=variable.is_writable,
            description=variable.description,
        )
        for variable in await variables_below(session, root)
    ]


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case list():
            return f"{len(value)} values"
        case ua.LocalizedText():
            text = value.Text or ""
        case _:
            text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _value(said: ua.DataValue) -> object:
    return said.Value.Value if said.Value is not None else None


def target_of(reference: ua.ReferenceDescription) -> ua.NodeId:
    """Return the plain id of what a reference leads to."""
    given = reference.NodeId
    return node_id(given.Identifier, given.NamespaceIndex, given.NodeIdType)
