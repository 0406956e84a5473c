"""Commands for what the flow set aside: list, look at, fix, replay, discard."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from headrace import dead_letter_view as view
from headrace.moments import moment_of, span_of
from headrace.terminal import fail, notices, progress_bar

if TYPE_CHECKING:
    from headrace.client import ApiClient

app = typer.Typer(no_args_is_help=True, help="Messages the flow set aside, and what to do.")

ADDRESS = "http://127.0.0.1:8080"
COLLECTION = "deadLetters"
RUNS = "replayRuns"
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.2

Server = Annotated[str, typer.Option(help="Address of the server.")]
Token = Annotated[str, typer.Option(envvar="HEADRACE_API_TOKEN", help="Bearer token.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Site = Annotated[str, typer.Option(help="Of this site only.")]
Reason = Annotated[list[str], typer.Option(help="Such as NO_BIRTH; may be given again.")]
EdgeNode = Annotated[str, typer.Option(help="Of this edge node only.")]
Since = Annotated[str, typer.Option(help="Received since: `2h` (ago), or a time in RFC 3339.")]
Until = Annotated[str, typer.Option(help="Received before: as --since.")]
Name = Annotated[str, typer.Argument(help="The dead letter, as `list` names it.")]
Names = Annotated[list[str], typer.Argument(help="Dead letters, or none and a filter.")]
Why = Annotated[str, typer.Option(help="Why, for the audit trail.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Rate = Annotated[int, typer.Option(min=1, max=1000, help="Of many: how many a second.")]
Shift = Annotated[str, typer.Option("--shift-time", help="Move every time: `-1d`, `+2h30m`.")]
Sets = Annotated[
    list[str], typer.Option("--set", help="NAME=VALUE, the value in JSON; may be given again.")
]
Device = Annotated[str, typer.Option(help="The device by its tag, where another sent it.")]
Keep = Annotated[
    bool, typer.Option("--keep-decoded", help="Go on with what decodes, leave out the rest.")
]


def fix_of(
    shift_time: str, sets: Sequence[str], device: str, keep_decoded: bool, payload: Path | None
) -> dict[str, Any]:
    """Return the contract's fix; empty for none.

    Raises:
        ValueError: an option is not as it should be.
    """
    fix: dict[str, Any] = {}
    if shift_time:
        fix["shiftTime"] = f"{span_of(shift_time).total_seconds():.9g}s"
    for one in sets:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise ValueError(f"--set {one!r}: write NAME=VALUE")
        fix.setdefault("edits", []).append({"metric": name, "value": value})
    if device:
        fix["device"] = device
    if keep_decoded:
        fix["keepDecoded"] = True
    if payload is not None:
        fix["payload"] = base64.b64encode(payload.read_bytes()).decode()
    return fix


@contextmanager
def _api(server: str, token: str) -> Iterator[ApiClient]:
    """Yield the API; say in one line what went wrong here or there."""
    import httpx

    from headrace.client import ApiClient, ApiError

    try:
        with ApiClient(server, token=token) as api:
            yield api
    except (ApiError, ValueError, OSError) as error:
        raise fail(escape(str(error))) from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise fail(f"--server: it cannot be reached: {escape(str(error))}") from error


def _full(name: str) -> str:
    return name if name.startswith(f"{COLLECTION}/") else f"{COLLECTION}/{name}"


def _filter(
    site: str, reasons: Sequence[str], edge_node: str, since: str, until: str
) -> dict[str, Any]:
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "site": site,
        "reasons": [reason.upper() for reason in reasons],
        "edgeNode": edge_node,
        "startTime": moment_of(since, now) if since else "",
        "endTime": moment_of(until, now) if until else "",
    }
    return {name: value for name, value in given.items() if value}


@app.command("list")
def list_(
    site: Site = "",
    reason: Reason = [],  # noqa: B006
    edge_node: EdgeNode = "",
    since: Since = "",
    until: Until = "",
    state: Annotated[str, typer.Option(help="open, replayed, discarded or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, help="No more than this many.")] = 100,
    as_json: AsJson = False,
    server: Server = ADDRESS,
    token: Token = "",
) -> None:
    """List them, newest first."""
    if state not in ("open", "replayed", "discarded", "all"):
        raise fail(f"--state: {state!r} is not open, replayed, discarded or all")
    with _api(server, token) as api:
        filters = _filter(site, reason, edge_node, since, until)
        if state != "all":
            filters["states"] = f"DEAD_LETTER_STATE_{state.upper()}"
        page = api.get(f"/v1/{COLLECTION}", {**filters, "pageSize": min(limit, 1000)})
    found, total = page.get(COLLECTION, []), page.get("totalSize", 0)
    if as_json:
        typer.echo(json.dumps({"dead_letters": found, "total": total}))
        return
    if not found:
        which = "" if state == "all" else f"{state} "
        notices.print(f"No {which}dead letters: every message could be used, or was dealt with.")
        notices.print("With --state all there may be more; what is set aside next appears here.")
        return
    view.show_all(found)
    notices.print(f"{len(found)} of {total}; look at one: headrace dead-letters show NAME")


@app.command()
def show(
    name: Name,
    as_hex: Annotated[bool, typer.Option("--hex", help="Print the bytes too.")] = False,
    as_json: AsJson = False,
    server: Server = ADDRESS,
    token: Token = "",
) -> None:
    """Show one: why, its bytes decoded as far as they go, and what was done about it."""
    with _api(server, token) as api:
        letter = api.get(f"/v1/{_full(name)}")
    if as_json:
        typer.echo(json.dumps(letter))
        return
    view.show(letter, as_hex)


@app.command()
def fix(
    name: Name,
    why: Why,
    shift_time: Shift = "",
    sets: Sets = [],  # noqa: B006
    device: Device = "",
    keep_decoded: Keep = False,
    payload: Annotated[
        Path | None, typer.Option(help="A file with the bytes that replace everything.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    server: Server = ADDRESS,
    token: Token = "",
) -> None:
    """Change one, show the difference, and replay it."""
    with _api(server, token) as api:
        change = fix_of(shift_time, sets, device, keep_decoded, payload)
        if not change:
            raise fail(
                "say what to change: --shift-time, --set, --device, --keep-decoded, --payload"
            )
        shown = api.post(f"/v1/{_full(name)}:previewFix", {"fix": change})
        if not as_json:
            view.show_changes(shown.get("changes", []))
        if dry_run:
            if as_json:
                typer.echo(json.dumps(shown))
            return
        _agree(yes or as_json, f"Replay {name} with this?")
        letter = api.post(f"/v1/{_full(name)}:replay", {"reason": why, "fix": change})
        _tell(api, [letter["name"]], as_json)


@app.command()
def replay(
    why: Why,
    names: Names = [],  # noqa: B006
    site: Site = "",
    reason: Reason = [],  # noqa: B006
    edge_node: EdgeNode = "",
    since: Since = "",
    until: Until = "",
    shift_time: Shift = "",
    sets: Sets = [],  # noqa: B006
    device: Device = "",
    keep_decoded: Keep = False,
    rate: Rate = 50,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    server: Server = ADDRESS,
    token: Token = "",
) -> None:
    """Put some, or all open ones that a filter finds, into the log again."""
    with _api(server, token) as api:
        change = fix_of(shift_time, sets, device, keep_decoded, None)
        if names:
            for name in names:
                body = {"reason": why} | ({"fix": change} if change else {})
                if dry_run:
                    shown = api.post(f"/v1/{_full(name)}:previewFix", {"fix": change})
                    typer.echo(f"{name}: {len(shown.get('changes', []))} changes")
                else:
                    api.post(f"/v1/{_full(name)}:replay", body)
            if not dry_run:
                _tell(api, [_full(name) for name in names], as_json)
            return
        run: dict[str, Any] = {"reason": why, "rate": rate} | ({"fix": change} if change else {})
        run["filter"] = _filter(site, reason, edge_node, since, until)
        _run(api, run, "Replay", dry_run, yes, as_json)


@app.command()
def discard(
    why: Why,
    names: Names = [],  # noqa: B006
    site: Site = "",
    reason: Reason = [],  # noqa: B006
    edge_node: EdgeNode = "",
    since: Since = "",
    until: Until = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
    server: Server = ADDRESS,
    token: Token = "",
) -> None:
    """Say that some, or all open ones that a filter finds, are not wanted."""
    with _api(server, token) as api:
        if names:
            for name in names:
                if not dry_run:
                    api.post(f"/v1/{_full(name)}:discard", {"reason": why})
                typer.echo(f"{name}: {'would be ' if dry_run else ''}discarded")
            return
        body = {"filter": _filter(site, reason, edge_node, since, until), "reason": why}
        _run(api, body | {"discard": True, "rate": 1000}, "Discard", dry_run, yes, as_json)


def _agree(agreed: bool, question: str) -> None:
    if not agreed and not typer.confirm(question):
        raise typer.Exit(1)


def _run(
    api: ApiClient, body: dict[str, Any], verb: str, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Count what a filter finds, ask, and go through it with progress."""
    counted = api.post(f"/v1/{RUNS}", {**body, "validateOnly": True})
    total = counted.get("total", 0)
    if dry_run or not total:
        if as_json:
            typer.echo(json.dumps(counted))
        else:
            notices.print(f"{total} open dead letters are found by this filter.")
        return
    _agree(yes or as_json, f"{verb} {total} dead letters?")
    run = api.post(f"/v1/{RUNS}", body)
    with progress_bar(verb.lower()) as bar:
        while run["state"] == "REPLAY_RUN_STATE_RUNNING":
            time.sleep(POLL_SECONDS)
            run = api.get(f"/v1/{run['name']}")
            gone = run.get("done", 0) + run.get("skipped", 0)
            bar.update(bar.tasks[0].id, completed=gone, total=run.get("total", 0))
    if as_json:
        typer.echo(json.dumps(run))
        return
    typer.echo(f"{run.get('done', 0)} done, {run.get('skipped', 0)} passed over  {run['name']}")
    if run.get("skipDetail"):
        notices.print(f"last passed over: {escape(run['skipDetail'])}")


def _tell(api: ApiClient, names: Sequence[str], as_json: bool) -> None:
    """Say what became of replays; who is not sure yet is said to be under way."""
    end = time.monotonic() + WAIT_SECONDS
    for name in names:
        letter = api.get(f"/v1/{name}")
        while letter.get("outcome") == "REPLAY_OUTCOME_WAITING" and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            letter = api.get(f"/v1/{name}")
        replays = [step for step in letter["history"] if step["action"] == "REPLAYED"]
        if as_json:
            typer.echo(json.dumps(letter))
        else:
            short = name.removeprefix(f"{COLLECTION}/")
            typer.echo(f"{short}: {view.state(letter)}  {view.outcome(replays[-1])}".rstrip())
