"""Checks for updates, each in a process of its own, so that its libraries go with it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.fleet import child, identity
from edge_agent.settings import Settings
from edge_agent.updates.configuration import folder_of
from edge_agent.updates.job import Job, Outcome

# Longer than any download may take; then the process is ended.
LONGEST_S: Final = 6 * 3600.0
FIRST_S: Final = 30.0


def job_of(given: Settings, gateway: Path) -> Job:
    """Return what a check of this gateway has to do."""
    options = given.gateway.updates
    return Job(
        server=options.server,
        site=given.site,
        edge_node=given.edge_node,
        group=options.group,
        configuration=options.configuration,
        gateway=str(gateway),
        folder=str(folder_of(given)),
        root=str(identity.of(given).root),
        stall_s=options.stall_s,
        least_rate_bytes_s=options.least_rate_bytes_s,
        max_target_bytes=options.max_target_bytes,
    )


def pause_s(interval_s: float, first: bool) -> float:
    """Return a random pause before a check, so that a fleet does not come all at once."""
    if first:
        return random.uniform(0, min(FIRST_S, interval_s))
    return interval_s * random.uniform(0.8, 1.2)


async def check(gateway: Path) -> Outcome:
    """Run one check; whatever becomes of its process is an outcome."""
    try:
        code, output = await child.run(
            "edge_agent.updates", "check", str(gateway), timeout_s=LONGEST_S
        )
    except (child.ChildError, OSError) as error:
        return Outcome(result="unreachable", reason=str(error))
    lines = output.splitlines()
    try:
        return msgspec.json.decode(lines[-1] if lines else b"", type=Outcome)
    except msgspec.DecodeError:
        return Outcome(result="unreachable", reason=f"the check ended with {code}")
