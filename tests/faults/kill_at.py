"""Run a part of an update and die of SIGKILL at its n-th step on the disk.

`kill_at.py N FOLDER check GATEWAY`, `kill_at.py N FOLDER trial` or `kill_at.py N FOLDER start
GATEWAY`: a step is whatever changes something below FOLDER or brings it to the disk, a connection,
or a process that is started. With N = 0 it runs to the end and prints the number of steps as its
last line.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

AT, FOLDER = int(sys.argv[1]), sys.argv[2]
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "shutil.rmtree")
steps = 0


def step() -> None:
    global steps
    steps += 1
    if steps == AT:
        os.kill(os.getpid(), signal.SIGKILL)


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        written = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if written and str(path).startswith(FOLDER):
            step()
    elif event in CHANGES:
        if str(arguments[0]).startswith(FOLDER):
            step()
    elif event in ("socket.connect", "subprocess.Popen", "fcntl.flock"):
        step()


def after(name: str) -> None:
    """Count a call of `os` when it has done its work, too."""
    call = getattr(os, name)

    def counted(*given: Any, **named: Any) -> Any:
        result = call(*given, **named)
        step()
        return result

    setattr(os, name, counted)


def try_model() -> None:
    """Score windows with a model on trial until its verdict, as the agent does."""
    import numpy as np

    from edge_agent.drivers.base import Block
    from edge_agent.inference.model_store import ModelStore
    from edge_agent.updates import UpdatesTable
    from edge_agent.updates.store import Store
    from firmware_sim.driver import create

    fan = next(d for d in create({"scenario": "healthy"}).devices() if d.tag == "F-201")
    options = UpdatesTable(server="http://127.0.0.1:1", trial_windows=10, trial_latency_ms=1e3)
    models = ModelStore(Store(Path(FOLDER)), options)
    scorer = models.scorer_for(fan)
    assert scorer is not None
    models.refresh()
    chance = np.random.default_rng(1)
    for n in range(12):
        samples = {
            c.name: chance.standard_normal(max(8, round(60 * min(c.sample_rate_hz, 100))))
            for c in fan.channels
        }
        scorer.score(Block(fan.tag, n * 60_000, samples))
    models.settle()
    models.close()


def start(gateway: Path) -> None:
    """Begin with the configuration that counts, and let one on trial stay, as the agent does."""
    from edge_agent.updates import configuration
    from edge_agent.updates.store import Store

    effective = configuration.effective(gateway)
    if effective.on_trial:
        name = effective.settings.gateway.updates.configuration
        configuration.keep(Store(Path(FOLDER)), name)


sys.addaudithook(hook)
for name in ("fsync", "replace"):
    after(name)
if sys.argv[3] == "check":
    sys.argv = ["edge_agent.updates", *sys.argv[3:]]
    try:
        runpy.run_module("edge_agent.updates", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code:
            raise
elif sys.argv[3] == "trial":
    try_model()
else:
    start(Path(sys.argv[4]))
print(steps)  # noqa: T201 (the result)
