"""Enrol a gateway, or renew its certificate: `python -m edge_agent.fleet enrol|renew`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_agent import settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 refused, 2 the gateway file is wrong."""
    parser = argparse.ArgumentParser(prog="edge_agent.fleet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    enrol = commands.add_parser("enrol", help="get this gateway's certificate with a token")
    enrol.add_argument("gateway", type=Path, help="the gateway file")
    enrol.add_argument("--server", required=True, help="base address of the cloud")
    enrol.add_argument(
        "--token",
        default=os.environ.get("HEADRACE_ENROLMENT_TOKEN"),
        help="the one-time token; else HEADRACE_ENROLMENT_TOKEN",
    )
    renew = commands.add_parser("renew", help="get another certificate before this one ends")
    renew.add_argument("gateway", type=Path, help="the gateway file")
    renew.add_argument("--server", required=True, help="base address of the cloud")
    given = parser.parse_args(arguments)
    if given.command == "enrol" and not given.token:
        parser.error("--token is needed")
    if given.command == "renew":
        # Beside an agent, whose readings go first.
        os.nice(10)

    from edge_agent.fleet import enrolment

    try:
        if given.command == "enrol":
            enrolled = enrolment.enrol(given.server, given.token, given.gateway)
            print(enrolled.lines, end="")  # noqa: T201 (the result)
        else:
            print(enrolment.renew(given.server, given.gateway).isoformat())  # noqa: T201
    except settings.SettingsError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (for a person)
        return 2
    except (enrolment.EnrolmentError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (for a person)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
