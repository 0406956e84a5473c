"""Run an edge agent: `python -m edge_agent GATEWAY.toml`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from edge_agent import logs, settings
from edge_agent.cancellation import end
from edge_agent.drivers import OptionsError
from edge_agent.fleet.service import Fleet
from edge_agent.inference.model_store import ModelStore
from edge_agent.node import EdgeNode
from edge_agent.source import DriverError
from edge_agent.sparkplug.topics import TopicNameError
from edge_agent.store.spool import SpoolError
from edge_agent.updates import configuration
from edge_agent.updates.configuration import Effective
from edge_agent.updates.store import Store

log = structlog.get_logger(__name__)


# The supervisor is to start the agent again at once (EX_TEMPFAIL of sysexits.h).
RESTART: Final = 75


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its counts, whether it was told to, and whether it wants another start."""

    counts: dict[str, int]
    stopped: bool = False
    restart: bool = False


async def run(effective: Effective, gateway: Path, until_drained: bool) -> Ended:
    """Run a node and its part in the fleet until it is drained or told to stop.

    Raises:
        OptionsError, TopicNameError, SettingsError, SpoolError: it cannot start.
        DriverError: a driver ended abnormally.
        sqlite3.DatabaseError: the spool was damaged while in use.
    """
    given = effective.settings
    table = given.gateway.updates
    models = ModelStore(Store(configuration.folder_of(given)) if table.server else None, table)
    node = EdgeNode(given, models.scorer_for)
    models.refresh()
    task = asyncio.create_task(node.run(until_drained))
    loop = asyncio.get_running_loop()
    stopped = restarts = False

    def stop(number: int) -> None:
        nonlocal stopped
        stopped = True
        # The second signal ends the process at once: everything is on the disk.
        loop.remove_signal_handler(number)
        task.cancel()

    def restart(reason: str) -> None:
        nonlocal restarts
        restarts = True
        log.info("restart", reason=reason)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    service = Fleet(effective, gateway, node, models, restart)
    node.obey(service.commands)
    fleet = asyncio.create_task(service.run())
    fleet.add_done_callback(_tell_of_failure)
    try:
        await task
    except asyncio.CancelledError:
        log.info("stopped", **node.counts())
    finally:
        await end(fleet, again_s=5.0)
        models.close()
    if effective.on_trial:
        configuration.forgive(Store(configuration.folder_of(given)), table.configuration)
    return Ended(node.counts(), stopped, restarts)


def _tell_of_failure(fleet: asyncio.Task[None]) -> None:
    """Say why the fleet's tasks ended; the readings go on without them."""
    if not fleet.cancelled() and (error := fleet.exception()) is not None:
        log.error("fleet failed", reason=str(error), exc_info=error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="edge_agent", description="Run an edge agent.")
    parser.add_argument("gateway", type=Path, help="the gateway file")
    parser.add_argument(
        "--until-drained",
        action="store_true",
        help="end once every batch of the sources was acknowledged; print the counts as JSON",
    )
    given = parser.parse_args(arguments)
    logs.configure()
    effective = None
    try:
        effective = configuration.effective(given.gateway)
        log.info("start", **effective.settings.shown())
        ended = asyncio.run(run(effective, given.gateway, given.until_drained))
    except (
        settings.SettingsError,
        OptionsError,
        SpoolError,
        TopicNameError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (for a person, not the log)
        if effective is not None and effective.on_trial:
            name = effective.settings.gateway.updates.configuration
            configuration.drop(Store(configuration.folder_of(effective.settings)), name, str(error))
            return RESTART
        return 2
    except (DriverError, sqlite3.DatabaseError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (for a person, not the log)
        return 1
    if ended.restart:
        return RESTART
    if given.until_drained:
        print(json.dumps(ended.counts), flush=True)  # noqa: T201 (the result)
        if ended.stopped and ended.counts["depth"]:
            print("error: stopped before it was drained", file=sys.stderr)  # noqa: T201
            return 1
    return 0
