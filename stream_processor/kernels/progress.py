"""How far the compilation of the kernels is, for whoever is watching."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from rich.console import Console
from rich.progress import Progress

log = structlog.get_logger()


@contextmanager
def shown() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what shows progress: a bar on a terminal, structured log lines elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda name, done, total: log.info("compiling", kernel=name, done=done, total=total)
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("compiling kernels")
        yield lambda name, done, total: bar.update(
            task, description=f"compiling {name}", completed=done, total=total
        )
