"""List what is published."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiomqtt
import msgspec

from edge_agent.drivers.base import Point
from edge_agent.drivers.mqtt.options import Options
from edge_agent.drivers.mqtt.paths import leaves
from edge_agent.subscription import subscribe

_MAX_TOPICS: Final = 500
_SHOWN: Final = 60


async def browse(options: Options) -> list[Point]:
    """Listen for `browse_s`; return every topic heard with the paths and values in it.

    Raises:
        OSError: the broker cannot be reached, or refused.
        ValueError: a password, certificate or key is missing or no such.
    """
    heard: dict[str, tuple[bytes, bool]] = {}
    try:
        async with options.broker.client() as client:
            await subscribe(client, options.browse_topic, 0)
            await _listen(client, options.browse_s, heard)
    except aiomqtt.MqttError as error:
        raise OSError(f"{options.broker.host}:{options.broker.port}: {error}") from error
    return [
        point
        for topic, (payload, is_retained) in sorted(heard.items())
        for point in points_of(topic, payload, is_retained)
    ]


async def _listen(
    client: aiomqtt.Client, listen_s: float, heard: dict[str, tuple[bytes, bool]]
) -> None:
    try:
        async with asyncio.timeout(listen_s):
            async for message in client.messages:
                topic = str(message.topic)
                if topic in heard or len(heard) < _MAX_TOPICS:
                    payload = message.payload
                    content = payload if isinstance(payload, bytes) else str(payload).encode()
                    heard[topic] = content, message.retain
    except TimeoutError:
        return


def points_of(topic: str, payload: bytes, is_retained: bool) -> list[Point]:
    """Return a point for each value of a message; its address is topic and path."""
    note = "retained" if is_retained else ""
    try:
        document = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = payload.decode("utf-8", "backslashreplace")
        return [Point(topic, topic.rpartition("/")[2], "text", "", text[:_SHOWN], False, note)]
    return [
        Point(
            f"{topic} {path}".strip(),
            path or topic.rpartition("/")[2],
            _kind(value),
            "",
            _shown(value),
            False,
            note,
        )
        for path, value in leaves(document)
    ]


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return f"array of {len(value)}"
    return "object"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
