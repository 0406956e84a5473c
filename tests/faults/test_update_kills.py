"""Kills in the middle of an update: what there was or what is new counts after them, never else.

`HEADRACE_FAULTS=full` kills each kind of update 50 times. Each prints its counts in a line.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.drivers.base import Block
from edge_agent.inference.model_store import ModelStore
from edge_agent.updates import UpdatesTable, configuration
from edge_agent.updates.store import Slot
from firmware_sim.driver import create

HERE = Path(__file__).parent
# Kills of checks and of what follows them.
FULL, SMALL = (38, 12), (4, 2)
CONFIGURATION = (
    'health_interval_s = {}\n[[drivers]]\nkind = "plugin"\nfactory = "firmware_sim.driver:create"\n'
)


@dataclass
class Killed:
    """A gateway whose updates are killed at one step after the other, each time from the start."""

    gateway: Any
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def folder(self) -> Path:
        return Path(self.gateway.job.folder)

    def keep(self, name: str) -> Path:
        """Return a copy of the updates as they are now."""
        aside = self.gateway.folder / name
        shutil.copytree(self.folder, aside)
        return Path(aside)

    def run(self, at: int, *arguments: str) -> tuple[int, str]:
        """Run a part of an update that dies at its n-th step; return its exit code and output."""
        ended = subprocess.run(
            [sys.executable, str(HERE / "kill_at.py"), str(at), str(self.folder), *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, "HEADRACE_DATA_DIR": str(self.gateway.folder / "data")},
            text=True,
            timeout=120,
            check=False,
        )
        return ended.returncode, ended.stdout

    def steps(self, *arguments: str) -> int:
        """Run a part of an update to its end and return how many steps it has."""
        code, output = self.run(0, *arguments)
        assert code == 0, output
        return int(output.splitlines()[-1])

    def kill(
        self,
        state: Path,
        steps: int,
        count: int,
        arguments: tuple[str, ...],
        after: Callable[[int], str],
    ) -> None:
        """Kill a part `count` times, from the first step to the last, each time from `state`.

        `after` looks at what a kill left and says in a word what counts.
        """  # fmt: skip
        for n in range(count):
            at = 1 + n * (steps - 1) // (count - 1)
            shutil.rmtree(self.folder)
            shutil.copytree(state, self.folder)
            code, _ = self.run(at, *arguments)
            assert code == -signal.SIGKILL, at
            self.counts["kills"] += 1
            self.counts[after(at)] += 1

    def tell(self, what: str, **steps: int) -> None:
        """Print the counts in one line."""
        known = ("kills", "old", "new")
        print(  # noqa: T201 (the counts)
            f"\nkills of {what}: {self.counts['kills']}, at steps of "
            + ", ".join(f"{name}: {count}" for name, count in steps.items())
            + f"; after them the old one counted {self.counts['old']} times, the new one"
            f" {self.counts['new']} times, none or another"
            f" {sum(count for name, count in self.counts.items() if name not in known)} times"
        )


@pytest.fixture
def killed(updated_gateway: Any) -> Killed:
    return Killed(updated_gateway)


def assert_clean(folder: Path, at: int) -> None:
    """A check leaves nothing half-written, neither its own nor of a check that was killed."""
    left = [path.name for path in folder.rglob("*") if path.is_file()]
    assert not [name for name in left if name.startswith((".new-", "tmp"))], at


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_at_any_step_leaves_a_model_that_works(
    killed: Killed, update_repository: Any, shipped: Any, full: bool
) -> None:
    gateway = killed.gateway
    fan = {"kind": "model", "equipment_class": "fan", "rollout": "r2", "version": "2"}
    device = next(d for d in create({"scenario": "healthy"}).devices() if d.tag == "F-201")
    block = Block(
        device.tag, 0, {c.name: np.zeros(round(60 * c.sample_rate_hz)) for c in device.channels}
    )

    def counts(_at: int = 0) -> str:
        """Say which model an agent begins with, and scores with."""
        scorer = ModelStore(gateway.store, UpdatesTable(server="http://x")).scorer_for(device)
        assert scorer is not None
        assert scorer.score(block) is not None
        return {"autoencoder-fan@1.5": "old", "autoencoder-fan@2": "new"}[scorer.model]

    update_repository.add_model("fan", "1.5", shipped("fan"))
    update_repository.roll_out("riverside", {**fan, "version": "1.5", "rollout": "r1"})
    update_repository.publish()
    assert gateway.check().result == "good"
    with gateway.store.changing() as change:
        change.put("model", "fan", change.manifest.slot("model", "fan").kept(0))
    update_repository.add_model("fan", "2", shipped("fan") + b"new")
    update_repository.roll_out("riverside", fan)
    update_repository.publish()
    fresh = killed.keep("fresh")
    checks, trials = FULL if full else SMALL
    check = ("check", gateway.job.gateway)

    def after_check(at: int) -> str:
        found = counts()
        assert gateway.check().result == "good", at
        slot = gateway.store.manifest().models["fan"]
        assert (slot.current.version, slot.trial.version) == ("1.5", "2"), at
        assert_clean(killed.folder, at)
        return found

    def after_trial(at: int) -> str:
        found = counts()
        assert killed.run(0, "trial")[0] == 0, at
        assert counts() == "new", at
        return found

    check_steps = killed.steps(*check)
    tried = killed.keep("tried")
    killed.kill(fresh, check_steps, checks, check, after_check)
    # What is only on trial is never begun with.
    assert killed.counts["new"] == 0
    shutil.rmtree(killed.folder)
    shutil.copytree(tried, killed.folder)
    trial_steps = killed.steps("trial")
    assert counts() == "new"
    killed.kill(tried, trial_steps, trials, ("trial",), after_trial)

    assert killed.counts["kills"] == killed.counts["old"] + killed.counts["new"] == checks + trials
    killed.tell("an update of a model", check=check_steps, trial=trial_steps)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_at_any_step_leaves_a_configuration_that_works(
    killed: Killed, update_repository: Any, full: bool
) -> None:
    gateway = killed.gateway
    local = Path(gateway.job.gateway)
    before = local.read_bytes()
    environment = {"HEADRACE_DATA_DIR": str(gateway.folder / "data")}
    item = {"kind": "configuration", "name": "line-1"}

    def slot() -> Slot:
        found: Slot = gateway.store.manifest().slot("configuration", "line-1")
        return found

    def counts(_at: int = 0) -> str:
        """Say which configuration an agent begins with."""
        begun = configuration.effective(local, environment)
        if begun.on_trial:
            # This look was no start.
            configuration.forgive(gateway.store, "line-1")
        return {6.0: "old", 7.0: "new"}[begun.settings.gateway.health_interval_s]

    for version in ("6", "7"):
        update_repository.add(
            f"configurations/line-1/{version}/gateway.toml", CONFIGURATION.format(version).encode()
        )
    update_repository.roll_out("riverside", {**item, "version": "6", "rollout": "r1"})
    update_repository.publish()
    assert gateway.check().result == "good"
    configuration.keep(gateway.store, "line-1")
    update_repository.roll_out("riverside", {**item, "version": "7", "rollout": "r2"})
    update_repository.publish()
    fresh = killed.keep("fresh")
    checks, starts = FULL if full else SMALL
    check, start = ("check", str(local)), ("start", str(local))

    def after_check(at: int) -> str:
        found = counts()
        assert gateway.check().result == "good", at
        assert (slot().current.version, slot().trial.version) == ("6", "7"), at  # type: ignore[union-attr]
        assert_clean(killed.folder, at)
        return found

    def after_start(at: int) -> str:
        found = counts()
        assert killed.run(0, *start)[0] == 0, at
        assert slot().trial is None, at
        assert counts() == "new", at
        return found

    check_steps = killed.steps(*check)
    tried = killed.keep("tried")
    killed.kill(fresh, check_steps, checks, check, after_check)
    assert killed.counts["old"]
    shutil.rmtree(killed.folder)
    shutil.copytree(tried, killed.folder)
    start_steps = killed.steps(*start)
    assert (slot().trial, counts()) == (None, "new")
    killed.kill(tried, start_steps, starts, start, after_start)

    assert local.read_bytes() == before
    assert killed.counts["kills"] == killed.counts["old"] + killed.counts["new"] == checks + starts
    killed.tell("an update of a configuration", check=check_steps, start=start_steps)
