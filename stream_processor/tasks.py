"""Run several things until the first, or the last, of them ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

# Longer than a task needs to leave in good order.
AGAIN_S = 2.5


async def first_of(*parts: Coroutine[Any, Any, None]) -> None:
    """Run `parts` until one ends, end the others, and wait for them.

    Raises:
        BaseException: what the first one, or one while it was ended, raised.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = [task for task in tasks if task.done()]
        await _end(tasks)
    for task in ended or tasks:
        task.result()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended, even when told to end as well meanwhile.

    Up to Python 3.11 `asyncio.wait_for`, by which the clients wait for their brokers, loses a
    cancellation that comes in the same turn of the loop as the answer (CPython issue 86296).
    """
    told: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=AGAIN_S)
        except asyncio.CancelledError as error:
            told = error
    # Takes note of what they raised, or the loop complains that nobody did.
    await asyncio.gather(*tasks, return_exceptions=True)
    if told is not None:
        raise told


async def all_of(*parts: Coroutine[Any, Any, None]) -> None:
    """Run `parts` until all have ended; when one fails, end the others.

    Raises:
        Exception: what the first one raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
