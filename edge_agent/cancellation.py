"""End tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any


async def end(*tasks: asyncio.Task[Any], again_s: float) -> None:
    """Cancel tasks and wait until they have ended, whatever they raise.

    Up to Python 3.11 `asyncio.wait_for`, by which the MQTT client waits for the broker, loses a
    cancellation that comes in the same turn of the loop as the answer (CPython issue 86296). So
    what has not ended is told again every `again_s` seconds, which must be longer than a task
    needs to leave in good order.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again_s)
    # Takes note of what they raised, or the loop complains that nobody did.
    await asyncio.gather(*tasks, return_exceptions=True)
