"""From the cloud to the plant: acknowledgements, commands, whether the host is there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

import aiomqtt

from stream_processor.bridge.downlink import Downlink
from stream_processor.bridge.metrics import Metrics
from stream_processor.bridge.settings import Settings
from stream_processor.mqtt_publisher import state

SITE, NODE = "riverside", "gw-1"
ACK = f"headrace/ack/{SITE}/{NODE}"
NCMD = f"spBv1.0/{SITE}/NCMD/{NODE}"
DCMD = f"spBv1.0/{SITE}/DCMD/{NODE}/P-101"
STATE = "spBv1.0/STATE/headrace"


async def heard(client: aiomqtt.Client, topic: str, payload: bytes) -> aiomqtt.Message:
    """Wait for a message, passing over others."""
    async with asyncio.timeout(60):
        async for message in client.messages:
            if message.topic.value == topic and message.payload == payload:
                return message
    raise AssertionError("the connection ended")


async def test_acknowledgements_come_and_are_retained(log: Any, bridged: Any) -> None:
    async with bridged.at_cloud() as cloud:
        await cloud.publish(ACK, b"of before the bridge", qos=1, retain=True)
        async with bridged.running(), bridged.at_plant(ACK) as plant:
            await heard(plant, ACK, b"of before the bridge")
            await cloud.publish(ACK, b"newer", qos=1, retain=True)
            assert not (await heard(plant, ACK, b"newer")).retain
            async with bridged.at_plant(ACK) as late:
                assert (await heard(late, ACK, b"newer")).retain


async def test_commands_come_once_and_are_not_retained(log: Any, bridged: Any) -> None:
    async with (
        bridged.at_cloud() as cloud,
        bridged.running(),
        bridged.at_plant(NCMD, DCMD) as plant,
    ):
        await cloud.publish(NCMD, b"rebirth", qos=0)
        await heard(plant, NCMD, b"rebirth")
        # The server speaks NATS.
        await log.client.publish(f"spBv1//0.{SITE}.DCMD.{NODE}.P-101", b"write")
        await heard(plant, DCMD, b"write")
        async with bridged.at_plant(NCMD, DCMD) as late:
            await cloud.publish(NCMD, b"next", qos=1)
            # Nothing was kept for who comes later.
            async with asyncio.timeout(60):
                first = await anext(late.messages)
            assert (first.topic.value, first.payload) == (NCMD, b"next")


async def test_a_command_that_the_cloud_retained_is_not_executed_late(
    log: Any, bridged: Any
) -> None:
    async with bridged.at_cloud() as cloud:
        await cloud.publish(NCMD, b"restart", qos=1, retain=True)
        async with bridged.at_plant(NCMD, ACK) as plant, bridged.running() as metrics:
            await bridged.eventually(
                lambda: metrics.totals().get("commands_dropped_total.retained")
            )
            await cloud.publish(ACK, b"after", qos=1, retain=True)
            async with asyncio.timeout(60):
                first = await anext(plant.messages)
            assert first.payload == b"after"


async def test_nothing_goes_round(log: Any, bridged: Any) -> None:
    async with (
        bridged.running() as metrics,
        bridged.at_plant("#") as plant,
        bridged.at_cloud() as cloud,
    ):
        await cloud.publish(ACK, b"down", qos=1, retain=True)
        await cloud.publish(NCMD, b"down", qos=1)
        await heard(plant, NCMD, b"down")
        await plant.publish(f"spBv1.0/{SITE}/NDATA/{NODE}", b"up", qos=1)
        # What is said at the plant on a topic of the cloud stays there.
        await plant.publish(NCMD, b"said by another client of the plant", qos=1)
        await plant.publish(f"spBv1.0/{SITE}/NDATA/{NODE}", b"end", qos=1)
        # The log keeps commands as well: this one came from the cloud's side.
        assert [m.data for m in await log.has(3)] == [b"down", b"up", b"end"]
        await bridged.eventually(
            lambda: metrics.totals().get("messages_forwarded_total.acknowledgement")
        )
        totals = metrics.totals()
    assert totals["messages_received_total"] == 2
    assert totals["messages_forwarded_total.acknowledgement"] == 1
    assert totals["messages_forwarded_total.command"] == 1


async def test_the_host_is_online_while_the_bridge_reaches_it(
    broker: Any, log: Any, bridged: Any
) -> None:
    born, born_again = state(True, 1000), state(True, 2000)
    async with bridged.at_plant(STATE) as plant:
        async with bridged.at_cloud() as cloud:
            await cloud.publish(STATE, born, qos=1, retain=True)
            async with bridged.running():
                await heard(plant, STATE, born)
                # The host leaves and comes back by itself.
                await cloud.publish(STATE, state(False, 1500), qos=1, retain=True)
                await heard(plant, STATE, state(False, 1500))
                await cloud.publish(STATE, born_again, qos=1, retain=True)
                await heard(plant, STATE, born_again)
                # Whoever says at the plant that it is away is contradicted.
                await plant.publish(STATE, state(False, 2000), qos=1, retain=True)
                await heard(plant, STATE, state(False, 2000))
                await heard(plant, STATE, born_again)
                # The cloud goes: the death is not older than the birth, nor the birth than it.
                broker.kill()
                await heard(plant, STATE, state(False, 2000))
                broker.start()
                await heard(plant, STATE, born_again)
            # The bridge ends.
            await heard(plant, STATE, state(False, 2000))
        async with bridged.at_plant(STATE) as late:
            assert (await heard(late, STATE, state(False, 2000))).retain


async def test_the_plant_hears_of_the_host_when_its_messages_are_kept(
    log: Any, bridged: Any
) -> None:
    metrics, listening = Metrics(), asyncio.Event()
    settings = Settings.from_environment(bridged.environment())
    async with bridged.at_cloud() as cloud, bridged.at_plant(STATE, ACK) as plant:
        await cloud.publish(STATE, state(True, 1000), qos=1, retain=True)
        running = asyncio.create_task(Downlink(settings, listening, metrics).run())
        await cloud.publish(ACK, b"of a node that may go on", qos=1, retain=True)
        async with asyncio.timeout(60):
            first = await anext(plant.messages)
        assert first.payload == b"of a node that may go on"
        listening.set()
        await heard(plant, STATE, state(True, 1000))
        running.cancel()
        await heard(plant, STATE, state(False, 1000))
        await asyncio.gather(running, return_exceptions=True)


async def test_a_bridge_that_is_killed_leaves_its_wills(log: Any, bridged: Any) -> None:
    topic = "headrace/bridge/plant"
    born = state(True, 3000)
    async with bridged.at_cloud() as cloud:
        await cloud.publish(STATE, born, qos=1, retain=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "stream_processor.bridge",
        env={**os.environ, **bridged.environment(instance="first"), "HEADRACE_LOG_FORMAT": "json"},
    )
    try:
        async with bridged.at_plant(STATE, topic) as plant:
            said = {}
            async with asyncio.timeout(60):
                async for message in plant.messages:
                    said[message.topic.value] = json.loads(message.payload)
                    if len(said) == 2 and all(one["online"] for one in said.values()):
                        break
            assert said[topic]["instance"] == "first"
            process.kill()
            async with asyncio.timeout(60):
                async for message in plant.messages:
                    said[message.topic.value] = json.loads(message.payload)
                    if not any(one["online"] for one in said.values()):
                        break
        assert said[STATE] == {"online": False, "timestamp": 3000}
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
