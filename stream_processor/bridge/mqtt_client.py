"""Connect an MQTT client, and disconnect it for certain."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt

# For an attempt that is under way; shorter than `tasks.AGAIN_S`.
ATTEMPT_S = 2.0


@asynccontextmanager
async def connected(client: aiomqtt.Client) -> AsyncIterator[aiomqtt.Client]:
    """Connect `client`.

    An attempt that is cancelled half-way would stay open under our identifier, and its will with
    it: aiomqtt forgets it. So it is let through first.

    Raises:
        aiomqtt.MqttError: the broker does not answer, or refuses.
    """
    entering = asyncio.create_task(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({entering}, timeout=ATTEMPT_S)
        if not entering.done():
            entering.cancel()
        elif not entering.cancelled() and entering.exception() is None:
            await client.__aexit__(None, None, None)
        raise
    try:
        yield client
    finally:
        await client.__aexit__(None, None, None)
