"""Serve the plant: `python -m firmware_sim.servers modbus --port 5020 --scenario bearing-wear`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import inspect
import signal
import sys
from collections.abc import Sequence
from typing import Any, Final

from firmware_sim.driver import create
from firmware_sim.servers.base import LivePlant

# The module of each, and the port that the protocol is at home on.
PROTOCOLS: Final = {
    "modbus": ("firmware_sim.servers.modbus", 5020),
    "mqtt": ("firmware_sim.servers.mqtt", 1883),
    "opcua": ("firmware_sim.servers.opcua", 4840),
    "sparkplug": ("firmware_sim.servers.sparkplug", 1883),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="python -m firmware_sim.servers", description="Serve the simulated plant."
    )
    made.add_argument("protocol", choices=PROTOCOLS)
    made.add_argument("--host", default="127.0.0.1", help="of the server, or of the broker")
    made.add_argument("--port", type=int, help="else the protocol's own; Modbus has 5020")
    made.add_argument("--scenario", default="healthy", help="see firmware_sim/README.md")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--speed", type=float, default=1.0, help="event seconds a second; 1 is live")
    made.add_argument("--machines", help="tags, with commas; all by default")
    made.add_argument("--fault-delay-s", type=float, help="from the start to the onset")
    made.add_argument("--growth-s", type=float, help="of the fault")
    made.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="of the protocol's own"
    )
    return made


def plant_of(given: argparse.Namespace) -> LivePlant:
    """Return the plant that was asked for: a block a second of the wall clock.

    Raises:
        ValueError: a scenario or machine is unknown, or a number is out of range.
    """
    return LivePlant(
        create(
            {
                "scenario": given.scenario,
                "seed": given.seed,
                "speed": given.speed,
                "machines": given.machines.split(",") if given.machines else None,
                "fault_delay_s": given.fault_delay_s,
                "growth_s": given.growth_s,
                "vibration_interval_s": max(1, round(given.speed)),
            }
        )
    )


async def _until_told(serving: asyncio.Task[None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def _serve(protocol: str, plant: LivePlant, host: str, port: int, **options: Any) -> None:
    serve = importlib.import_module(PROTOCOLS[protocol][0]).serve
    known = list(inspect.signature(serve).parameters)[3:]
    for name in options:
        if name not in known:
            raise ValueError(f"option: no {name!r}; {protocol} has {', '.join(known) or 'none'}")
    await _until_told(asyncio.create_task(serve(plant, host, port, **options)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code: 2 when something in it is wrong."""
    given = parser().parse_args(arguments)
    options = dict(text.split("=", 1) if "=" in text else (text, "") for text in given.option)
    port = PROTOCOLS[given.protocol][1] if given.port is None else given.port
    try:
        plant = plant_of(given)
        asyncio.run(_serve(given.protocol, plant, given.host, port, **options))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (for a person, not the log)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
