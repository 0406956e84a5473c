"""What a gateway needs to read the plant over Modbus, and the register map for people.

`python -m firmware_sim.servers.modbus_gateway > gateway.toml` writes a gateway file for the plant
that `python -m firmware_sim.servers modbus` serves; `… map` prints the map.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from edge_agent.drivers.base import Device
from firmware_sim.plant import MACHINES, SITE, Plant
from firmware_sim.servers.modbus_map import NOTHING, RATE_FLOAT, SEQUENCE, entries


def points(device: Device, whole: bool = False) -> list[dict[str, Any]]:
    """Return the points of a gateway file that read a machine, and write its set-point.

    Slow channels are read as float32, with `whole` as int16; waveforms only when they are new.
    """
    made: list[dict[str, Any]] = []
    slow = "int16" if whole else "float32"
    channels = {channel.name: channel for channel in device.channels}
    for entry in entries(device):
        channel = channels.get(entry.name)
        point: dict[str, Any] = {
            "name": entry.name,
            "unit": entry.unit,
            "table": entry.table,
            "address": entry.address,
            "type": entry.kind,
        }
        if channel is not None and (entry.count > 1 or entry.kind == slow):
            point |= {"quantity": channel.quantity, "location": channel.location}
            if entry.kind == "int16":
                point |= {"scale": entry.scale, "invalid": [NOTHING]}
            if entry.count > 1:
                rate_hz = channel.sample_rate_hz
                point |= {"count": entry.count, "sample_rate_hz": rate_hz}
                point |= {"sequence_address": SEQUENCE}
        elif (entry.table, entry.address) == ("holding", RATE_FLOAT):
            # Not a channel: a model knows the machine's own channels only.
            point |= {"read": False, "writable": True}
        else:
            continue
        made.append(point)
    # In the order of the declaration, by which models know their features.
    order = list(channels)
    return sorted(made, key=lambda p: order.index(p["name"]) if p["name"] in order else len(order))


def driver_options(
    devices: Iterable[Device], host: str, port: int, whole: bool = False
) -> dict[str, Any]:
    """Return the options of the agent's `modbus` driver that reads these machines of a plant."""
    return {
        "tcp": {"host": host, "port": port},
        "devices": [
            {
                "tag": device.tag,
                "equipment_class": device.equipment_class,
                "path": device.path,
                "description": device.description,
                "facts": dict(device.facts),
                "unit_id": unit_id,
                "points": points(device, whole),
            }
            for unit_id, device in enumerate(devices, 1)
        ],
    }


def gateway_file(
    options: Mapping[str, Any], edge_node: str = "modbus-gateway", site: str = SITE
) -> str:
    """Return a gateway file with these options of a `modbus` driver."""
    lines = [f"site = {_toml(site)}", f"edge_node = {_toml(edge_node)}", ""]
    lines += ["[[drivers]]", 'kind = "modbus"', ""]
    own = {name: value for name, value in options.items() if name not in ("tcp", "devices")}
    lines += ["[drivers.options]", *_fields(own), ""]
    lines += ["[drivers.options.tcp]", *_fields(options["tcp"])]
    for device in options["devices"]:
        lines += ["", "[[drivers.options.devices]]"]
        lines += _fields({name: value for name, value in device.items() if name != "points"})
        for point in device["points"]:
            lines += ["", "[[drivers.options.devices.points]]", *_fields(point)]
    return "\n".join(lines) + "\n"


def table_of(devices: Iterable[Device]) -> str:
    """Return the register map as a table in Markdown."""
    rows = ["| unit | machine | name | table | address | type | scale | in |", "|---" * 8 + "|"]
    for unit_id, device in enumerate(devices, 1):
        for entry in entries(device):
            kind = entry.kind if entry.count == 1 else f"{entry.kind}[{entry.count}]"
            row = [unit_id, device.tag, entry.name, entry.table, entry.address]
            row += [kind + (", writable" if entry.writable else ""), f"{entry.scale:g}", entry.unit]
            rows.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(rows) + "\n"


def _fields(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in values.items() if value != ""]


def _toml(value: Any) -> str:
    """Return a TOML value; of what is in here JSON's are TOML's, but for tables."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(name)} = {_toml(part)}" for name, part in value.items())
        return f"{{ {inner} }}"
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m firmware_sim.servers.modbus_gateway")
    parser.add_argument("what", nargs="?", choices=("gateway", "map"), default="gateway")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5020)
    parser.add_argument("--machines", help="tags, with commas; all by default")
    parser.add_argument("--whole", action="store_true", help="slow channels as int16")
    given = parser.parse_args()
    tags = given.machines.split(",") if given.machines else list(MACHINES)
    devices = Plant(1, 0, machines=tags).devices("live")
    options = driver_options(devices, given.host, given.port, given.whole)
    sys.stdout.write(table_of(devices) if given.what == "map" else gateway_file(options))


if __name__ == "__main__":
    main()
