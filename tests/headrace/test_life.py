from __future__ import annotations

import csv

import numpy as np
import pytest
from typer.testing import CliRunner

from headrace.cli import app
from stream_processor.models import life_learning
from stream_processor.models.remaining_life import LifeLibrary

OPTIONS = ["--unit", "engine", "--class", "turbine", "--horizon", "40"]


@pytest.fixture
def histories(tmp_path, monkeypatch):
    monkeypatch.setattr(life_learning, "NETWORKS", 1)
    monkeypatch.setattr(life_learning, "LEAST_STEPS", 50)
    random = np.random.default_rng(1)
    path = tmp_path / "engines.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["engine", "cycle", "temperature", "pressure"])
        for engine in range(12):
            for left in range(60 + engine, -1, -1):
                heat = 500.0 + 30.0 * np.exp(-left / 20.0) + random.normal()
                rows.writerow([f"E-{engine}", left, f"{heat:.3f}", "" if left % 9 == 0 else 14.6])
    return path


def test_a_library_is_learnt_from_a_file(histories, tmp_path):
    out = tmp_path / "lives"
    ran = CliRunner().invoke(
        app,
        ["model", "life", str(histories), *OPTIONS, "--output", str(out), "--ignore", "cycle"],
    )
    assert ran.exit_code == 0, ran.output
    library = LifeLibrary.read(out / "turbine.npz")
    assert library.channels == ("temperature",)
    assert library.card["histories"] == 12
    assert (out / "turbine.json").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--unit", "motor", "--class", "t", "--horizon", "40"], "no column 'motor'"),
        (["--unit", "cycle", "--class", "t", "--horizon", "40"], "line 2"),
    ],
)
def test_what_cannot_be_learnt_from_is_said(histories, tmp_path, options, said):
    ran = CliRunner().invoke(
        app, ["model", "life", str(histories), *options, "--output", str(tmp_path)]
    )
    assert ran.exit_code != 0
    assert said in " ".join(ran.output.split())
