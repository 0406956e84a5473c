"""The systemd unit is sound, and shut as far as the agent can live with."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from edge_agent.main import RESTART

UNIT = Path(__file__).parents[2] / "deploy/edge/headrace-edge.service"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine"
)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments, str(UNIT)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@needs_systemd
def test_systemd_understands_every_line() -> None:
    ended = analyze("verify", "--man=no")

    said = [
        line
        for line in ended.stderr.splitlines()
        # The agent is not installed on this machine.
        if UNIT.name in line and "is not executable" not in line
    ]
    assert said == []


@needs_systemd
def test_its_exposure_is_small() -> None:
    # Tenths of points out of 100; `OK` begins below 50.
    ended = analyze("security", "--offline=true", "--threshold=15")

    assert ended.returncode == 0, ended.stdout.splitlines()[-1]


def test_it_knows_the_agents_exit_codes() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    service = unit["Service"]

    assert service["Restart"] == "always"
    assert service["SuccessExitStatus"] == str(RESTART)
    assert service["RestartPreventExitStatus"] == "2"
    assert service["Type"] == "notify"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
