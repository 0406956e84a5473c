"""The command line as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def headrace_json() -> Callable[..., tuple[int, dict[str, Any]]]:
    """Run `headrace ARGUMENTS --json`; return its exit code and the JSON object it ended with."""

    def run(*arguments: str, timeout: float = 280) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-m", "headrace.cli", *arguments, "--json"],
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        lines = done.stdout.strip().splitlines()
        assert lines, f"nothing printed; the error output ends:\n{done.stderr[-3000:]}"
        return done.returncode, json.loads(lines[-1])

    return run
