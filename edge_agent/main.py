"""Run an edge agent: `python -m edge_agent GATEWAY.toml`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from edge_agent import logs, settings
from edge_agent.drivers.plugin import PluginError
from edge_agent.drivers.recording import RecordingError
from edge_agent.node import EdgeNode
from edge_agent.source import DriverError
from edge_agent.sparkplug.topics import TopicNameError
from edge_agent.spool import SpoolError

log = structlog.get_logger(__name__)


async def run(configuration: settings.Settings, until_drained: bool) -> tuple[dict[str, int], bool]:
    """Run a node until it is drained or told to stop; return its counts, and whether it was told.

    Raises:
        PluginError, RecordingError, TopicNameError, SettingsError, SpoolError: it cannot start.
        DriverError: a driver ended abnormally.
        sqlite3.DatabaseError: the spool was damaged while in use.
    """
    node = EdgeNode(configuration)
    task = asyncio.create_task(node.run(until_drained))
    loop = asyncio.get_running_loop()
    stopped = False

    def stop(number: int) -> None:
        nonlocal stopped
        stopped = True
        # The second signal ends the process at once: everything is on the disk.
        loop.remove_signal_handler(number)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        log.info("stopped", **node.counts())
    return node.counts(), stopped


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
    try:
        configuration = settings.read(given.gateway)
        log.info("start", **configuration.shown())
        counts, stopped = asyncio.run(run(configuration, given.until_drained))
    except (
        settings.SettingsError,
        PluginError,
        RecordingError,
        SpoolError,
        TopicNameError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (for a person, not the log)
        return 2
    except (DriverError, sqlite3.DatabaseError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (for a person, not the log)
        return 1
    if given.until_drained:
        print(json.dumps(counts), flush=True)  # noqa: T201 (the result)
        if stopped and counts["depth"]:
            print("error: stopped before it was drained", file=sys.stderr)  # noqa: T201
            return 1
    return 0
