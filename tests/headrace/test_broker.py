"""The broker keeps what it acknowledged."""

from __future__ import annotations

import nats
import pytest

from headrace.broker import Broker


@pytest.mark.timeout(60)
async def test_an_acknowledged_message_survives_a_kill(broker: Broker) -> None:
    async def connect() -> nats.NATS:
        return await nats.connect(broker.nats_url, user=broker.user, password=broker.password)

    client = await connect()
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept.>"])
    acknowledged = [(await stream.publish("kept.x", str(n).encode())).seq for n in range(200)]
    broker.kill()
    await client.close()
    broker.start()

    client = await connect()
    info = await client.jetstream().stream_info("KEPT")
    await client.close()

    assert info.state.messages == len(acknowledged)
    assert info.state.last_seq == acknowledged[-1]


async def test_nobody_enters_without_the_password(broker: Broker) -> None:
    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        await nats.connect(
            broker.nats_url, user=broker.user, password="wrong", allow_reconnect=False
        )
