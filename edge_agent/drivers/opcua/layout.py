"""Whole machines: found on the server once, then known before it is asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import structlog
from asyncua import ua

from edge_agent.drivers import layout_file
from edge_agent.drivers.opcua.browsing import Variable, resolve, target_of, variables_below
from edge_agent.drivers.opcua.library import AttributeIds
from edge_agent.drivers.opcua.nodes import parse
from edge_agent.drivers.opcua.options import (
    DeviceOptions,
    MachineOptions,
    Options,
    PointOptions,
)
from edge_agent.drivers.opcua.session import Session
from edge_agent.drivers.opcua.units import quantity_of

log = structlog.get_logger(__name__)

# What becomes a channel.
_NUMBERS: Final = frozenset(
    {
        *("Boolean", "SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32"),
        *("Int64", "UInt64", "Float", "Double"),
    }
)
_DEVICE_CLASS: Final = ("Identification", "DeviceClass")
_LOCATION: Final = ("Identification", "Location")
_LONGEST_TAG: Final = 60


def path_of(options: Options) -> Path:
    """Return the file that the layout of these options is kept in."""
    return layout_file.place(options.layout_file, "opcua", options.endpoint)


def load(options: Options) -> list[DeviceOptions] | None:
    """Return the machines that were found earlier for the same options, or None.

    Raises:
        ValueError: the file cannot be read.
    """
    return layout_file.load(path_of(options), _asked(options), DeviceOptions)


def save(options: Options, devices: Sequence[DeviceOptions]) -> Path:
    """Keep what was found; return the file, which is whole at any time."""
    path = path_of(options)
    layout_file.save(path, _asked(options), devices)
    return path


def _asked(options: Options) -> object:
    return options.endpoint, options.whole_machines


async def discover(session: Session, options: Options) -> list[DeviceOptions]:
    """Find the machines that are to be taken whole, in the order of the options.

    Machines and variables that are not there are left out.
    """
    addresses = {machine.node: parse(machine.node) for machine in options.whole_machines}
    nodes, missing = await resolve(session, addresses.values())
    for address, reason in missing.items():
        log.warning("machine not found", node=str(address), reason=reason)
    devices: list[DeviceOptions] = []
    for machine in options.whole_machines:
        node = nodes.get(addresses[machine.node])
        if node is None:
            continue
        for tag, each in await _objects(session, machine, node):
            (text,) = await session.read([each], AttributeIds.Description)
            shown = text.Value.Value if text.Value else None
            description = (shown.Text or "") if isinstance(shown, ua.LocalizedText) else ""
            device = _device(machine, tag, description, await variables_below(session, each))
            if device is not None and device.tag not in {known.tag for known in devices}:
                devices.append(device)
    return devices


async def _objects(
    session: Session, machine: MachineOptions, node: ua.NodeId
) -> list[tuple[str, ua.NodeId]]:
    if machine.each:
        (below,) = await session.browse([node])
        return [
            (_tag(reference.BrowseName.Name), target_of(reference))
            for reference in below
            if reference.NodeClass == ua.NodeClass.Object
        ]
    if machine.tag:
        return [(machine.tag, node)]
    (name,) = await session.read([node], AttributeIds.BrowseName)
    shown = name.Value.Value.Name if name.Value and name.Value.Value else ""
    return [(_tag(shown), node)]


def _tag(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:_LONGEST_TAG] or "machine"


def _device(
    machine: MachineOptions, tag: str, description: str, variables: Sequence[Variable]
) -> DeviceOptions | None:
    taken = [variable for variable in variables if _is_taken(machine, variable)]
    last = Counter(variable.names[-1] for variable in taken)
    points = [
        PointOptions(
            name=v.names[-1] if last[v.names[-1]] == 1 else "/".join(v.names),
            node=str(v.address),
            unit=v.unit or "1",
            quantity=quantity_of(v.unit),
            sample_rate_hz=_rate(machine, v),
            waveform=v.is_array,
            stale_after_s=machine.stale_after_s,
            writable=machine.writable and v.is_writable and not v.is_array,
        )
        for v in taken
    ]
    if not points:
        log.warning("machine has no numbers", machine=tag)
        return None
    return DeviceOptions(
        tag=tag,
        equipment_class=machine.equipment_class or _told(variables, _DEVICE_CLASS) or "other",
        path=machine.path or _told(variables, _LOCATION),
        description=description,
        facts=machine.facts,
        points=points,
    )


def _told(variables: Sequence[Variable], names: tuple[str, ...]) -> str:
    """Return the text that a machine identifies itself with; empty when it has none."""
    value = next((v.value for v in variables if v.names == names), None)
    return value if isinstance(value, str) else ""


def _is_taken(machine: MachineOptions, variable: Variable) -> bool:
    name = "/".join(variable.names)
    return (
        variable.kind in _NUMBERS
        and _rate(machine, variable) > 0
        and any(fnmatchcase(name, pattern) for pattern in machine.include)
        and not any(fnmatchcase(name, pattern) for pattern in machine.exclude)
    )


def _rate(machine: MachineOptions, variable: Variable) -> float:
    if not variable.is_array:
        return machine.sample_rate_hz
    return variable.sample_rate_hz or machine.waveform_rate_hz
