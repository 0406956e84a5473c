"""Subscribe over MQTT, and know that the broker agreed."""

from __future__ import annotations

from typing import Any

import aiomqtt


async def subscribe(client: aiomqtt.Client, topic: str, qos: int) -> None:
    """Subscribe to a topic or a filter.

    Raises:
        aiomqtt.MqttError: the connection failed, or the broker refused, as one of a cluster does
            that has no majority at the moment.
    """
    granted: Any = await client.subscribe(topic, qos=qos)
    # MQTT 3.1.1, 3.9.3: 0x80 is a failure.
    if any(int(getattr(code, "value", code)) >= 0x80 for code in granted):
        raise aiomqtt.MqttError(f"the broker refused the subscription to {topic!r}")
