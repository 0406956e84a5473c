"""What the commands share: notices, errors, progress, a folder for a run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

# Results go to the standard output, everything said on the way to the standard error.
notices = Console(stderr=True, highlight=False)


def fail(message: str) -> typer.Exit:
    """Say one clear error and return the exit to raise."""
    notices.print(f"[red]error:[/] {message}", soft_wrap=True)
    return typer.Exit(2)


def table_console() -> Console:
    """Return where tables go, wide enough for a line a row where nobody looks on."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


@contextmanager
def data_folder(given: Path | None) -> Iterator[Path]:
    """Yield the folder the user named, else one that is gone afterwards."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        yield Path(folder)


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Yield a progress display on the standard error, silent when that is no terminal."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[pace]}"),
        console=notices,
        disable=not notices.is_terminal,
        transient=True,
    ) as bar:
        bar.add_task(label, total=None, pace="")
        yield bar


def update(bar: Progress, text: str, done: int, total: int | None) -> None:
    """Show `done` of `total`, or say `text` when there is nothing to count."""
    task = bar.tasks[0]
    if text == "blocks":
        bar.update(task.id, completed=done, total=total and max(total, done))
    else:
        bar.console.print(text)
