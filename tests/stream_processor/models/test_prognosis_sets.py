"""Remaining life and survival on real and reference data, when the folder with it is there."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("HEADRACE_EVAL_DATA", ROOT / "../shared/data"))


def evaluation(name: str) -> ModuleType:
    path = ROOT / "benchmarks" / "detection" / "sets" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"evaluation_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def data(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"no {name} in HEADRACE_EVAL_DATA")
    return folder


@pytest.mark.timeout(600)
def test_turbofans_are_foretold_far_better_than_blind(monkeypatch):
    folder = data("cmapss")
    sets = evaluation("cmapss")
    from stream_processor.models import life_learning

    # One network where five would be: the figures of the benchmark are better.
    monkeypatch.setattr(life_learning, "NETWORKS", 1)
    fleet = sets.read(folder, "FD001")
    library, _ = life_learning.learn(fleet.training, sets.SENSORS, "turbofan", sets.CAP)
    results, followed = sets.evaluate("FD001", library, fleet)
    found = {r.metric.removeprefix("FD001 "): r for r in results}
    assert found["RMSE, capped"].score < 14.0
    assert found["RMSE, capped"].score < 0.4 * found["RMSE, capped"].blind
    assert found["NASA score, capped"].score < 450.0
    assert 0.82 <= found["90 % interval holds, uncapped"].score <= 0.98
    # What is said at a row does not depend on rows after it.
    unit = fleet.test[2]
    changed = np.vstack([unit[:60], unit[60:][::-1]])
    said = [
        [life and life.mean for life in lives]
        for lives in (followed[2], sets.follow(library, changed))
    ]
    assert said[0][:60] == said[1][:60]
    assert said[0] != said[1]


def test_failures_within_a_week_are_told_better_than_their_share(monkeypatch):
    monkeypatch.setenv("HEADRACE_EVAL_DATA", str(data("azure-pdm-partial").parent))
    sets = evaluation("azure_pdm")
    found = {r.metric: r for r in sets.run()}
    brier = found["Brier score, 7 days"]
    assert brier.score < 0.85 * brier.blind
    assert found["expected calibration error, 7 days"].score < 0.02
    assert all(r.score > 0.6 for m, r in found.items() if m.endswith("concordance"))
