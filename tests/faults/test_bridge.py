"""A plant that keeps its Mosquitto: bridge, broker and log are killed, and no reading is lost.

`HEADRACE_FAULTS=full` makes the runs as long as they are meant. Each prints its counts in a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import paho.mqtt.client as paho
import pytest
from nats.js.api import StreamConfig
from paho.mqtt.enums import CallbackAPIVersion

from stream_processor.mqtt_publisher import state
from stream_processor.streams import TELEMETRY

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]
SITE, NODE = "riverside", "gw-1"


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Any:
    def line(what: str, **counts: Any) -> None:
        with capsys.disabled():
            print(f"\n{what}: " + ", ".join(f"{k} {v}" for k, v in counts.items()))  # noqa: T201

    return line


@dataclass
class Bridges:
    """Bridges as processes of their own, by instance."""

    broker: Any
    plant: Any
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, instance: str = "one") -> None:
        with self.log(instance).open("ab") as output:
            self.processes[instance] = subprocess.Popen(
                [sys.executable, "-m", "stream_processor.bridge"],
                stderr=output,
                env={
                    **os.environ,
                    **self.broker.environment,
                    "HEADRACE_BRIDGE_PORT": str(self.plant.port),
                    "HEADRACE_BRIDGE_INSTANCE": instance,
                    "HEADRACE_BRIDGE_LEASE": "3",
                    "HEADRACE_LOG_FORMAT": "json",
                },
            )

    def log(self, instance: str = "one") -> Path:
        return self.folder / f"bridge-{instance}.log"

    def said(self, event: str, instance: str = "one") -> int:
        log = self.log(instance)
        return log.read_text().count(f'"event": "{event}"') if log.exists() else 0

    def kill(self, instance: str = "one") -> None:
        process = self.processes.pop(instance)
        process.kill()
        process.wait()

    def stop(self, instance: str = "one") -> None:
        process = self.processes.pop(instance)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.fixture
def bridges(broker: Any, cloud: Any, mosquitto: Any, tmp_path: Path) -> Iterator[Bridges]:
    asyncio.run(in_log(broker, make_fleet))
    running = Bridges(broker, mosquitto, tmp_path)
    yield running
    for instance in list(running.processes):
        running.kill(instance)


@pytest.fixture
def agent(edge: Any, mosquitto: Any) -> Any:
    """An agent that knows of Mosquitto only."""
    edge.environment["HEADRACE_MQTT_HOST"] = "127.0.0.1"
    edge.environment["HEADRACE_MQTT_PORT"] = str(mosquitto.port)
    return edge


async def in_log(broker: Any, look: Any) -> Any:
    client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    try:
        return await look(client.jetstream())
    finally:
        await client.close()


async def make_fleet(jetstream: Any) -> None:
    """Make the stream that the server makes."""
    await jetstream.add_stream(
        StreamConfig(name="FLEET", subjects=["headrace.report.>", "headrace.outcome.>"])
    )


async def payloads(jetstream: Any) -> list[bytes]:
    state = (await jetstream.stream_info(TELEMETRY)).state
    return [
        (await jetstream.get_msg(TELEMETRY, n)).data
        for n in range(state.last_seq - state.messages + 1, state.last_seq + 1)
    ]


async def holder(jetstream: Any) -> str:
    """Return which instance bridges."""
    entry = await (await jetstream.key_value("HEADRACE_BRIDGE")).get("lease.plant")
    return str(json.loads(entry.value)["instance"])


@pytest.mark.timeout(1800)
def test_bridge_broker_and_log_are_killed_in_turn(
    broker: Any, cloud: Any, bridges: Bridges, mosquitto: Any, agent: Any, tell: Any, full: bool
) -> None:
    machines, kills = 4, 60 if full else 3
    blocks = 150 * (kills + 1) // machines
    bridges.start()
    agent.start(
        "--until-drained",
        lines="max_unacknowledged = 1_000_000",
        machines=machines,
        count=blocks,
        rate_hz=75.0,
        waveform=3200,
    )
    for kill in range(kills):
        due = (kill + 1) * machines * blocks // (kills + 1)
        cloud.until(lambda due=due: len(cloud.frames) >= due, 300)
        match kill % 3:
            case 0:
                bridges.kill()
                bridges.start()
            case 1:
                mosquitto.kill()
                mosquitto.start()
            case 2:
                broker.kill()
                broker.start()
    counts = agent.wait(600)
    cloud.until(lambda: len(cloud.frames) == machines * blocks)

    assert cloud.check_order() == machines
    assert (cloud.counts["lost"], cloud.aside, counts["dropped"], counts["depth"]) == (0, {}, 0, 0)
    bridges.stop()
    tell(
        f"{kills} kills of bridge, Mosquitto and NATS in turn",
        batches=counts["sent"],
        readings=machines * blocks * 3200,
        lost=0,
        twice=0,
        duplicates_dropped=cloud.counts["duplicated"],
        resends=len(cloud.asked),
        sessions_of_the_bridge=bridges.said("bridging"),
    )


@pytest.mark.timeout(600)
def test_the_active_bridge_is_killed_and_another_takes_over(
    broker: Any, cloud: Any, bridges: Bridges, agent: Any, tell: Any, full: bool
) -> None:
    kills = 8 if full else 1
    machines, blocks = 2, 100 * (kills + 1)
    instances = {"a", "b"}
    for instance in instances:
        bridges.start(instance)
    agent.start(
        "--until-drained",
        lines="max_unacknowledged = 1_000_000",
        machines=machines,
        count=blocks,
        rate_hz=50.0,
    )
    for kill in range(kills):
        due = (kill + 1) * machines * blocks // (kills + 1)
        cloud.until(lambda due=due: len(cloud.frames) >= due, 200)
        active = asyncio.run(in_log(broker, holder))
        (other,) = instances - {active}
        bridges.kill(active)
        cloud.until(lambda other=other: asyncio.run(in_log(broker, holder)) == other)
        bridges.start(active)
    counts = agent.wait(600)
    cloud.until(lambda: len(cloud.frames) == machines * blocks)

    assert cloud.check_order() == machines
    assert (cloud.counts["lost"], cloud.aside, counts["depth"]) == (0, {}, 0)
    tell(
        f"{kills} kills of the active one of two bridges",
        batches=counts["sent"],
        lost=0,
        twice=0,
        duplicates_dropped=cloud.counts["duplicated"],
    )


@pytest.mark.parametrize("away", [False, True], ids=["bridge there", "bridge away"])
@pytest.mark.parametrize("durable", [False, True], ids=["defaults", "deploy/mosquitto"])
def test_what_mosquitto_keeps_of_what_it_confirmed(
    broker: Any, bridges: Bridges, mosquitto: Any, tell: Any, full: bool, durable: bool, away: bool
) -> None:
    """The worst case: it is killed right after it confirmed the last of them."""
    if not durable:
        mosquitto.kill()
        # What Debian's /etc/mosquitto/mosquitto.conf says.
        mosquitto.lines = "persistence true\nmax_queued_messages 0"
        mosquitto.start()
    number, window = 3000 if full else 300, 20
    bridges.start()
    until(lambda: bridges.said("bridging") >= 1)
    if away:
        bridges.stop()
    publisher = paho.Client(CallbackAPIVersion.VERSION2)
    publisher.max_inflight_messages_set(window)
    publisher.connect("127.0.0.1", mosquitto.port)
    publisher.loop_start()
    topic = f"spBv1.0/{SITE}/DDATA/{NODE}/M-001"
    sent = [publisher.publish(topic, b"%d" % n, qos=1) for n in range(number)]
    for one in sent:
        one.wait_for_publish(120)
    mosquitto.kill()
    publisher.loop_stop()
    mosquitto.start()
    if away:
        bridges.start()
    until(lambda: bridges.said("bridging") >= 2)
    # It comes after all that Mosquitto still has.
    publisher.reconnect()
    publisher.loop_start()
    publisher.publish(topic, b"-1", qos=1).wait_for_publish(120)
    until(lambda: b"-1" in asyncio.run(in_log(broker, payloads)))
    publisher.disconnect()
    publisher.loop_stop()

    found = [int(one) for one in asyncio.run(in_log(broker, payloads)) if one != b"-1"]
    lost = number - len(set(found))
    assert list(dict.fromkeys(found)) == sorted(set(found)), "out of order"
    if durable:
        assert lost <= window
    tell(
        f"Mosquitto killed, {'deploy/mosquitto' if durable else 'defaults'}, bridge "
        f"{'away' if away else 'there'}",
        confirmed=number,
        in_the_log=len(set(found)),
        lost=lost,
        twice=len(found) - len(set(found)),
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("waits", [False, True], ids=["speaks always", "waits for the host"])
def test_what_mosquitto_loses_the_agent_still_has(
    broker: Any,
    cloud: Any,
    bridges: Bridges,
    mosquitto: Any,
    agent: Any,
    tell: Any,
    full: bool,
    waits: bool,
) -> None:
    """Mosquitto with its defaults forgets all it confirmed; the spool waits for the cloud."""
    mosquitto.kill()
    mosquitto.lines = "persistence true"
    mosquitto.start()
    machines, blocks = 3, 400 if full else 60
    host = paho.Client(CallbackAPIVersion.VERSION2)
    host.username_pw_set(broker.user, broker.password)
    host.connect(broker.host, broker.mqtt_port)
    host.loop_start()
    host.publish("spBv1.0/STATE/headrace", state(True, 1), 1, True).wait_for_publish(60)
    seen: list[bytes] = []
    watching = paho.Client(CallbackAPIVersion.VERSION2)
    watching.on_message = lambda _client, _data, message: seen.append(message.payload)
    watching.connect("127.0.0.1", mosquitto.port)
    watching.subscribe([(f"spBv1.0/{SITE}/DDATA/#", 0), ("spBv1.0/STATE/headrace", 0)])
    watching.loop_start()
    bridges.start()
    cloud.until(lambda: state(True, 1) in seen)
    # It takes nothing more, and Mosquitto does not know yet.
    bridges.processes["one"].send_signal(signal.SIGSTOP)
    agent.start(
        lines="max_unacknowledged = 1_000_000\nhealth_interval_s = 1\n"
        f"sparkplug.primary_host_id = {json.dumps('headrace' if waits else '')}",
        machines=machines,
        count=blocks,
        waveform=3200,
    )
    # All of it was handed to Mosquitto, which is killed before anybody else has it.
    cloud.until(lambda: len(seen) > machines * blocks)
    for client in (watching, host):
        client.disconnect()
        client.loop_stop()
    assert cloud.frames == []
    mosquitto.kill()
    if not waits:
        bridges.kill()
    mosquitto.start()
    if waits:
        bridges.processes["one"].send_signal(signal.SIGCONT)
    else:
        bridges.start()
    cloud.until(lambda: len(cloud.frames) == machines * blocks, 200)

    assert cloud.check_order() == machines
    assert cloud.counts["lost"] == 0
    # Births went to Mosquitto as well: what came before they were said again is set aside, and
    # came a second time.
    assert set(cloud.aside) <= (set() if waits else {"NO_BIRTH"})
    tell(
        f"Mosquitto with its defaults killed, agent {'waits for the host' if waits else 'speaks'}",
        handed_to_mosquitto=len(seen) - 1,
        in_the_log=len(cloud.frames),
        lost=0,
        twice=0,
        duplicates_dropped=cloud.counts["duplicated"],
        resends=len(cloud.asked),
        set_aside=cloud.aside.total(),
    )


def until(condition: Any, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
