"""Feed a recording of sensor data through the whole loop and say what it would have alarmed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from edge_agent import drivers
from edge_agent.drivers.recording.driver import RecordingDriver, tag_of
from headrace import gateway, verdict
from headrace.client import Resource
from headrace.demo.headless import Progress, iso, wait_until_processed
from headrace.stack import running

SITE = "recordings"
EDGE_NODE = "replay"


def _alarm(alarm: Resource) -> dict[str, Any]:
    """Return what the JSON says of an alarm: with the times of its samples."""
    advisory = alarm.get("advisory", {})
    return {
        "id": alarm["name"],
        "ticket": alarm.get("ticket") or None,
        "sample_time": alarm.get("raiseTime"),
        "clear_time": alarm.get("clearTime"),
        "window_start": advisory.get("windowStartTime"),
        "window_end": advisory.get("windowEndTime"),
        "severity": alarm["severity"].removeprefix("SEVERITY_").lower(),
        "failure_mode": alarm["failureMode"].removeprefix("FAILURE_MODE_").lower(),
        "summary": alarm["summary"],
    }


def _ticket(ticket: Resource, alarms: list[Resource]) -> dict[str, Any]:
    """Return what the JSON says of a ticket: with the time of the sample that opened it."""
    its = sorted(a["raiseTime"] for a in alarms if a.get("ticket") == ticket["name"])
    return {
        "id": ticket["name"],
        "number": ticket["number"],
        "sample_time": its[0] if its else None,
        "alarms": len(its),
        "priority": ticket["priority"].removeprefix("TICKET_PRIORITY_").lower(),
        "title": ticket["title"],
    }


def run(
    path: Path,
    time_column: str | None,
    separator: str | None,
    speed: str,
    data_dir: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Replay `path` and return alarms, tickets and counts.

    Raises:
        OptionsError: the file cannot be read as sensor data.
        SupervisorError: a process failed.
    """
    options: dict[str, Any] = {
        "path": str(path.resolve()),
        "time": time_column,
        "separator": separator,
        "speed": speed if speed == "max" else float(speed),
        "tag": tag_of(path),
    }
    # Read it once here, so that a bad file is said before anything starts.
    given = {name: value for name, value in options.items() if value is not None}
    driver = drivers.open_driver("recording", given)
    assert isinstance(driver, RecordingDriver)
    started = time.monotonic()
    with running(data_dir) as stack:
        configuration = gateway.write(
            data_dir / "gateway.toml", SITE, EDGE_NODE, "recording", options
        )
        agent = stack.start_agent(configuration, until_drained=True)
        blocks = wait_until_processed(stack, agent, progress, driver.block_count)
        books = verdict.read(stack.client, SITE, blocks)
    alarms = sorted(books.alarms, key=lambda a: str(a["raiseTime"]))
    return {
        "recording": path.name,
        "equipment": tag_of(path),
        "rows": driver.row_count,
        "channels": [c.name for c in driver.devices()[0].channels],
        "first_sample": iso(driver.first_time_ms),
        "last_sample": iso(driver.last_time_ms),
        "seconds": round(time.monotonic() - started, 1),
        "blocks": {
            "sent": blocks.sent,
            "processed": blocks.processed,
            "lost": blocks.lost,
            "duplicated": blocks.duplicated,
        },
        "alarms": [_alarm(a) for a in alarms],
        "tickets": [_ticket(t, alarms) for t in books.tickets],
    }
