"""Run a scenario to its end under the simulated clock and say whether the loop closed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firmware_sim.plant import SITE
from firmware_sim.scenarios import SCENARIOS
from headrace import gateway, verdict
from headrace.demo.machines import of_plant
from headrace.demo.stores import fill
from headrace.stack import Stack, running
from headrace.supervisor import Child, SupervisorError

EDGE_NODE = "gw-1"
# Blocks a second the agent may send in a run with a fault: the delays in the result are those of a
# flow that is busy, not of one that is flooded.
PACE_HZ = 50.0
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a run and its JSON object; `passed` when it ended as its scenario must."""

    passed: bool
    document: dict[str, Any]

    @property
    def closed(self) -> bool:
        """True when one fault ended in one requisition."""
        return bool(self.document["closed"])

    def line(self) -> str:
        """Return the JSON object on one line."""
        return json.dumps(self.document)


def iso(time_ms: int | None) -> str | None:
    """Return milliseconds since the epoch as RFC 3339 in UTC."""
    if time_ms is None:
        return None
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wait_until_processed(
    stack: Stack, agent: Child, progress: Progress, expected: int | None
) -> verdict.Blocks:
    """Wait until the agent has ended and the processor has processed all it sent.

    Raises:
        SupervisorError: the agent failed.
    """
    while agent.returncode() is None:
        for line in stack.supervisor.check():
            progress(line, 0, expected)
        counters = stack.counters()
        progress("blocks", int(counters.get("processed", 0)), expected)
        time.sleep(0.2)
    if agent.returncode() != 0:
        raise SupervisorError(
            f"the agent ended with {agent.returncode()}; {agent.log} ends:\n{agent.tail()}"
        )
    sent = agent_counts(agent)["sent"]
    counters = stack.counters()
    processed = int(counters.get("processed", 0))
    return verdict.Blocks(
        sent=sent,
        processed=processed,
        # What the processor gave up on is among what it did not process.
        lost=max(int(counters.get("lost", 0)), sent - processed),
        duplicated=int(counters.get("duplicated", 0)),
    )


def agent_counts(agent: Child) -> dict[str, int]:
    """Return the counts that an agent printed as its last line."""
    last = [line for line in agent.log.read_text().splitlines() if line.startswith("{")][-1]
    return dict(json.loads(last))


def settle(stack: Stack, complete: Callable[[verdict.Verdict], bool], blocks: verdict.Blocks,
           timeout: float = 20.0) -> verdict.Verdict:  # fmt: skip
    """Read the books until they are `complete`, or for `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        books = verdict.read(stack.client, SITE, blocks)
        if complete(books) or time.monotonic() > deadline:
            return books
        time.sleep(0.1)


def run(scenario_name: str, seed: int, days: float, data_dir: Path, progress: Progress) -> Result:
    """Run a scenario; `days` is how long the healthy one lasts.

    Raises:
        KeyError: there is no such scenario.
        SupervisorError: a process failed.
    """
    scenario = SCENARIOS[scenario_name]
    healthy = scenario.fault is None
    options: dict[str, Any] = {"scenario": scenario_name, "seed": seed, "speed": "max"}
    if healthy:
        options["days"] = days
    with running(data_dir) as stack:
        plant = of_plant(options)
        fill(stack.client, SITE, plant.machines)
        pace = {} if healthy else {"pace_hz": PACE_HZ}
        configuration = gateway.write(
            data_dir / "gateway.toml",
            SITE,
            EDGE_NODE,
            "plugin",
            options,
            factory="firmware_sim.driver:create",
            **pace,
        )
        agent = stack.start_agent(configuration, until_drained=True)
        blocks = wait_until_processed(stack, agent, progress, plant.expected_blocks)
        if healthy:
            books = verdict.read(stack.client, SITE, blocks)
            reasons = [] if books.nothing_lost else ["blocks were lost"]
            if books.tickets or books.alarms:
                reasons.append(
                    f"{len(books.alarms)} alarms and {len(books.tickets)} tickets without a fault"
                )
        else:
            books = settle(stack, lambda b: bool(b.requisitions), blocks)
            reasons = books.why_not_closed(str(scenario.machine))
    document: dict[str, Any] = {
        "scenario": scenario_name,
        "seed": seed,
        "onset": iso(plant.onset_ms),
        "closed": not healthy and not reasons,
        **books.steps(),
        "blocks": {
            "sent": blocks.sent,
            "processed": blocks.processed,
            "lost": blocks.lost,
            "duplicated": blocks.duplicated,
        },
        "tickets": len(books.tickets),
    }
    if books.tickets:
        document["failure_mode"] = {
            "true": scenario.fault,
            "found": books.tickets[0]["failureMode"].removeprefix("FAILURE_MODE_").lower(),
        }
    if reasons:
        document["reasons"] = reasons
    return Result(not reasons, document)
