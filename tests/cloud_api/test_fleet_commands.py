"""Commands from the server to a gateway's MQTT session, through a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiomqtt
import nats
import pytest
from nats.aio.client import Client as NatsClient

from cloud_api.fleet_commands import CommandSender
from edge_agent.v1 import sparkplug_b_pb2 as sparkplug
from erp_modules.fleet.ports import Order
from erp_modules.kernel.errors import Unavailable
from headrace.broker import Broker

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def order(value: float | bool | str, device: str = "", number: int = 1) -> Order:
    return Order(
        command_id=f"cmd-{number}",
        site="plant",
        edge_node="e1",
        device=device,
        metric="Speed",
        value=value,
        proposer="users/ada",
        confirmer="users/bob",
    )


@pytest.fixture
def lost() -> asyncio.Event:
    """Set when the server's connection is."""
    return asyncio.Event()


@pytest.fixture
def back() -> asyncio.Event:
    """Set when it is back."""
    return asyncio.Event()


@pytest.fixture
async def server(
    broker: Broker, lost: asyncio.Event, back: asyncio.Event
) -> AsyncIterator[NatsClient]:
    async def disconnected() -> None:
        lost.set()

    async def reconnected() -> None:
        back.set()

    client = await nats.connect(
        broker.nats_url,
        user=broker.user,
        password=broker.password,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,  # type: ignore[arg-type]
        disconnected_cb=disconnected,
        reconnected_cb=reconnected,
    )
    yield client
    await client.close()


def gateway(broker: Broker) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1", broker.mqtt_port, username=broker.user, password=broker.password
    )


async def next_command(client: aiomqtt.Client) -> tuple[str, int, sparkplug.Payload]:
    async with asyncio.timeout(20):
        message = await anext(aiter(client.messages))
    assert isinstance(message.payload, bytes)
    payload = sparkplug.Payload.FromString(message.payload)
    return str(message.topic), message.qos, payload


@pytest.mark.parametrize(
    ("value", "device", "topic", "datatype"),
    [
        (True, "", "spBv1.0/plant/NCMD/e1", sparkplug.DATA_TYPE_BOOLEAN),
        (12.5, "P-101", "spBv1.0/plant/DCMD/e1/P-101", sparkplug.DATA_TYPE_DOUBLE),
        ("debug", "", "spBv1.0/plant/NCMD/e1", sparkplug.DATA_TYPE_STRING),
    ],
)
async def test_a_command_says_what_by_whom_and_when(
    broker: Broker,
    server: NatsClient,
    value: float | bool | str,
    device: str,
    topic: str,
    datatype: int,
) -> None:
    sender = CommandSender(server, asyncio.get_running_loop())
    async with gateway(broker) as client:
        await client.subscribe("spBv1.0/plant/#", qos=1)
        await asyncio.to_thread(sender.send, order(value, device), NOW)
        heard, qos, payload = await next_command(client)
    assert (heard, qos) == (topic, 0)
    assert payload.timestamp == round(NOW.timestamp() * 1000)
    by_name = {metric.name: metric for metric in payload.metrics}
    texts = {name: by_name[f"Headrace/{name}"].string_value
             for name in ("Command Id", "Requested By", "Confirmed By")}  # fmt: skip
    assert texts == {
        "Command Id": "cmd-1",
        "Requested By": "users/ada",
        "Confirmed By": "users/bob",
    }
    assert by_name["Speed"].datatype == datatype
    assert getattr(by_name["Speed"], by_name["Speed"].WhichOneof("value") or "") == value


async def test_who_is_away_is_never_told_later(broker: Broker, server: NatsClient) -> None:
    sender = CommandSender(server, asyncio.get_running_loop())
    away = {"identifier": "e1", "clean_session": False}
    async with aiomqtt.Client("127.0.0.1", broker.mqtt_port, username=broker.user,
                              password=broker.password, **away) as client:  # fmt: skip
        await client.subscribe("spBv1.0/plant/NCMD/e1", qos=1)
    await asyncio.to_thread(sender.send, order(True, number=1), NOW)
    async with aiomqtt.Client("127.0.0.1", broker.mqtt_port, username=broker.user,
                              password=broker.password, **away) as client:  # fmt: skip
        await asyncio.to_thread(sender.send, order(True, number=2), NOW)
        _, _, payload = await next_command(client)
    assert payload.metrics[0].string_value == "cmd-2"


async def test_a_broker_that_is_away_is_told_and_gets_nothing_later(
    broker: Broker, server: NatsClient, lost: asyncio.Event, back: asyncio.Event
) -> None:
    sender = CommandSender(server, asyncio.get_running_loop())
    broker.kill()
    async with asyncio.timeout(20):
        await lost.wait()
    with pytest.raises(Unavailable):
        await asyncio.to_thread(sender.send, order(True, number=1), NOW)
    await asyncio.to_thread(broker.start)
    async with gateway(broker) as client:
        await client.subscribe("spBv1.0/plant/NCMD/e1", qos=1)
        async with asyncio.timeout(30):
            await back.wait()
        await asyncio.to_thread(sender.send, order(True, number=2), NOW)
        _, _, payload = await next_command(client)
    assert payload.metrics[0].string_value == "cmd-2"
