"""What the agent runs beside itself: `python -m edge_agent.updates check|try`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge_agent import logs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 not so."""
    parser = argparse.ArgumentParser(prog="edge_agent.updates", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="look for updates once; the outcome is JSON")
    check.add_argument("gateway", type=Path, help="the gateway file")
    trial = commands.add_parser("try", help="run a model once")
    trial.add_argument("weights", type=Path)
    trial.add_argument("card", type=Path)
    given = parser.parse_args(arguments)
    logs.configure()
    # The agent's readings go first.
    os.nice(10)
    return _check(given.gateway) if given.command == "check" else _try(given.weights, given.card)


def _check(gateway: Path) -> int:
    from edge_agent import settings
    from edge_agent.updates import check
    from edge_agent.updates.job import Outcome
    from edge_agent.updates.schedule import job_of

    try:
        job = job_of(settings.read(gateway), gateway)
        outcome = check.check(job, check.step_teller())
    except settings.SettingsError as error:
        outcome = Outcome(result="refused", reason=str(error))
    except OSError as error:
        outcome = Outcome(result="unreachable", reason=f"disk: {error}")
    os.write(1, msgspec.json.encode(outcome) + b"\n")
    return 0 if outcome.result == "good" else 1


def _try(weights: Path, card: Path) -> int:
    from edge_agent.updates import smoke

    try:
        smoke.run(weights, card)
    except smoke.SmokeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (for the parent)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
