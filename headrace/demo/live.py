"""The demo in real time: a plant in the browser, a fault after a few seconds, until Ctrl-C."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware_sim.plant import SITE
from headrace import gateway
from headrace.demo.headless import EDGE_NODE
from headrace.demo.machines import of_plant
from headrace.demo.stores import fill
from headrace.stack import Stack, running

HISTORY_HOURS = 4.0
# The demo's plant is always late in a Monday's early shift, with no change ahead.
PLANT_START = "2026-01-05T12:50:00Z"


def say_new(stack: Stack, known: dict[str, str], say: Callable[[str], None]) -> None:
    """Say what appeared in the books since the last call; `known` remembers."""
    for collection, sentence in (
        ("alarms", "[bold red]■ alarm[/]       {equipment}: {summary}"),
        ("tickets", "[bold]◆ ticket[/]      {number} {title}"),
        ("reservations", "[bold]◆ reserved[/]    {reservedQuantity} × {part} for {equipment}"),
        ("requisitions", "[bold]◆ requisition[/] {number} {quantity} × {part}"),
    ):
        for resource in stack.client.list(collection, site=SITE):
            if resource["name"] not in known:
                known[resource["name"]] = collection
                say(sentence.format_map(resource))


def run(
    scenario: str, seed: int, fault_delay_s: float, data_dir: Path, keep: bool,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    """Run the live demo until interrupted.

    Raises:
        SupervisorError: a process did not start or kept ending.
        KeyboardInterrupt: Ctrl-C, after which everything is stopped.
    """
    if data_dir.exists() and not keep:
        shutil.rmtree(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "scenario": scenario,
        "seed": seed,
        "speed": 1,
        "history_hours": HISTORY_HOURS,
        "fault_delay_s": fault_delay_s,
        "plant_start": PLANT_START,
    }
    say("starting broker, server and processor …")
    with running(data_dir, fixed_ports=True) as stack:
        plant = of_plant(options)
        fill(stack.client, SITE, plant.machines)
        configuration = gateway.write(
            data_dir / "gateway.toml",
            SITE,
            EDGE_NODE,
            "plugin",
            options,
            factory="firmware_sim.driver:create",
        )
        stack.start_agent(configuration, until_drained=False)
        say("")
        say(f"  [bold]web[/]      {stack.url}")
        say(f"  [bold]sign in[/]  admin / {stack.admin_password}")
        say(f"  [bold]gRPC[/]     {stack.grpc_target}")
        say(f"  [bold]files[/]    {data_dir}")
        say("")
        say(
            f"{len(plant.machines)} machines; {plant.description}; the fault begins "
            f"{fault_delay_s:.0f} s after the first {HISTORY_HOURS:.0f} hours of history are in. "
            "Ctrl-C stops everything."
        )
        known: dict[str, str] = {}
        while True:
            for line in stack.supervisor.check():
                say(f"[yellow]{line}[/]")
            say_new(stack, known, say)
            time.sleep(1.0)
