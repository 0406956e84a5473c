"""List what edge nodes have."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import aiomqtt
import numpy as np

from edge_agent.drivers.base import Point
from edge_agent.drivers.sparkplug.driver import ask_for_births
from edge_agent.drivers.sparkplug.nodes import Born, EdgeNodes, Known, MessageError, flattened
from edge_agent.drivers.sparkplug.options import Options
from edge_agent.sparkplug.metrics import type_name
from edge_agent.subscription import subscribe

_SHOWN: Final = 60


async def browse(options: Options) -> list[Point]:
    """Listen for `browse_s`, ask edge nodes that are heard for their births, return the metrics.

    Raises:
        OSError: the broker cannot be reached, or refused.
        ValueError: a password, certificate or key is missing or no such.
    """
    births: dict[str, Born] = {}
    try:
        async with options.broker.client() as client:
            await subscribe(client, options.filter, 0)
            for node in {device.source.partition("/")[0] for device in options.devices}:
                await ask_for_births(client, options.group, node)
            try:
                async with asyncio.timeout(options.browse_s):
                    await _listen(client, options, births)
            except TimeoutError:
                pass
    except aiomqtt.MqttError as error:
        raise OSError(f"{options.broker.host}:{options.broker.port}: {error}") from error
    return [
        point
        for _, born in sorted(births.items())
        for known in born.metrics.values()
        for point in _points(born.source, known)
    ]


async def _listen(client: aiomqtt.Client, options: Options, births: dict[str, Born]) -> None:
    nodes = EdgeNodes(options.reorder_s)
    asked: set[str] = set()
    async for message in client.messages:
        levels = str(message.topic).split("/")
        if len(levels) not in (4, 5) or levels[2][1:] not in ("BIRTH", "DATA", "DEATH"):
            continue
        content = message.payload if isinstance(message.payload, bytes) else b""
        device = levels[4] if len(levels) == 5 else ""
        now = time.monotonic()
        try:
            for event in nodes.take(levels[2], levels[3], device, content, time.time() * 1000, now):
                if isinstance(event, Born):
                    births[event.source] = event
        except MessageError:
            continue
        for node in nodes.wanting - asked:
            asked.add(node)
            await ask_for_births(client, options.group, node)


def _points(source: str, known: Known) -> list[Point]:
    unit, kind = known.text("engUnit"), type_name(known.datatype).removeprefix("DATA_TYPE_")
    leaves: list[tuple[str, Any]] = list(flattened(known.name, known.value))
    if not leaves:
        leaves = [(known.name, known.value)]
    writable = known.properties.get("writable")
    return [
        Point(
            f"{source} {name}",
            name,
            kind.lower(),
            unit,
            _shown(value),
            bool(writable is not None and writable.value),
        )
        for name, value in leaves
    ]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, np.ndarray):
        return f"{len(value)} samples"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
