"""Commands for a gateway: check its file, list what its devices offer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.terminal import fail, notices

if TYPE_CHECKING:
    from edge_agent import browsing

app = typer.Typer(no_args_is_help=True, help="The agent on a gateway.")
Gateway = Annotated[Path, typer.Argument(help="The gateway file.")]


@app.command()
def check(
    gateway: Gateway,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Explain every error of a gateway file by line; nothing touches the network."""
    from edge_agent import checking

    problems = checking.check(gateway)
    if as_json:
        typer.echo(
            json.dumps([{"line": p.line, "field": p.field, "message": p.message} for p in problems])
        )
    elif problems:
        for problem in problems:
            typer.echo(f"{gateway}: {problem}")
    else:
        typer.echo(f"{gateway}: good")
    raise typer.Exit(1 if problems else 0)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a gateway file, for an editor."""
    from edge_agent import checking

    typer.echo(json.dumps(checking.gateway_schema(), indent=2))


@app.command()
def browse(
    gateway: Gateway,
    driver: Annotated[
        int | None, typer.Option(min=0, help="One [[drivers]] table, counted from 0; else all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the points as JSON.")] = False,
) -> None:
    """List what the devices of a gateway file offer."""
    from edge_agent import browsing, settings
    from edge_agent.drivers import OptionsError

    try:
        given = settings.read(gateway).gateway.drivers
        if driver is not None and driver >= len(given):
            raise fail(f"--driver: there are {len(given)} [[drivers]] tables, counted from 0")
        chosen = range(len(given)) if driver is None else [driver]
        with notices.status("asking the devices"):
            found = asyncio.run(browsing.browse([given[number] for number in chosen]))
    except (settings.SettingsError, OptionsError) as error:
        raise fail(escape(str(error))) from error
    if as_json:
        typer.echo(json.dumps([each.document(n) for n, each in zip(chosen, found, strict=True)]))
    for number, each in zip(chosen, found, strict=True):
        if each.error:
            notices.print(f"[red]error:[/] drivers\\[{number}] ({each.kind}): {escape(each.error)}")
        elif not as_json:
            _show(number, each)
    raise typer.Exit(1 if any(each.error for each in found) else 0)


@app.command()
def enrol(
    gateway: Gateway,
    server: Annotated[str, typer.Option(help="Base address of the cloud.")],
    token: Annotated[
        str, typer.Option(envvar="HEADRACE_ENROLMENT_TOKEN", help="The one-time token.")
    ],
) -> None:
    """Get this gateway's own certificate, and print the lines for its file."""
    from edge_agent import settings
    from edge_agent.fleet import enrolment

    try:
        enrolled = enrolment.enrol(server, token, gateway)
    except (settings.SettingsError, enrolment.EnrolmentError, OSError) as error:
        raise fail(escape(str(error))) from error
    notices.print("enrolled; put these lines into the gateway file, in place of its \\[broker]:")
    typer.echo(enrolled.lines, nl=False)


def _show(number: int, found: browsing.Found) -> None:
    table = Table(title=f"drivers[{number}]: {found.kind}", title_justify="left", box=None)
    for heading in ("address", "name", "kind", "unit", "value", ""):
        table.add_column(heading, overflow="fold")
    for point in found.points:
        cells = (point.address, point.name, point.kind, point.unit, point.value)
        table.add_row(*map(escape, cells), "writable" if point.writable else "")
    Console(highlight=False).print(table)
    if not found.points:
        typer.echo("nothing was found; are address and unit right, and is the device on?")
