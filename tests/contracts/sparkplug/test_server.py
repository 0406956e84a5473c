"""What Sparkplug 3.0 asks of a host that writes to devices, held against the server.

Its commands go to a real agent, through the broker's own protocol and out by MQTT; the tap has what
the agent was given.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import nats
import pytest

from cloud_api.fleet_commands import CommandSender
from edge_agent.v1 import report_pb2
from edge_agent.v1 import sparkplug_b_pb2 as pb
from erp_modules.fleet.ports import Order

SITE, NODE = "riverside", "gw-1"
# Device, metric, value; the first is a channel, whose birth declares an array of numbers.
WRITES = (("M-1", "Speed", 1700.0), ("M-1", "Recipe", "plain"), ("M-2", "Link", True))
COMPATIBLE = {
    pb.DATA_TYPE_FLOAT_ARRAY: pb.DATA_TYPE_DOUBLE,
    pb.DATA_TYPE_STRING: pb.DATA_TYPE_STRING,
    pb.DATA_TYPE_BOOLEAN: pb.DATA_TYPE_BOOLEAN,
}
Check = Callable[[Any], None]
CHECKS: dict[str, Check] = {}


def holds(*ids: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys((f"tck-id-{name}" for name in ids), check))
        return check

    return register


@pytest.fixture(scope="module")
def plant(plants: Any) -> Any:
    made = plants()
    made.start()
    made.until(lambda: {said.device for said in made.of("DDATA")} == {"M-1", "M-2"})
    broker, loop = made.broker, asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    client = run(nats.connect(broker.nats_url, user=broker.user, password=broker.password))
    sender = CommandSender(client, loop)
    made.began_ms = time.time_ns() // 1_000_000
    for place, (device, metric, value) in enumerate(WRITES):
        order = Order(f"c-{place}", SITE, NODE, device, metric, value, "users/ada", "users/bo")
        sender.send(order, datetime.now(UTC))
    made.observer.until(lambda: len(made.observer.outcomes()) == len(WRITES))
    made.ended_ms = time.time_ns() // 1_000_000
    run(client.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    return made


def commands(plant: Any) -> list[Any]:
    """The DCMD that the agent was given, as they came over the wire."""
    return [p for p in list(plant.tap.packets) if not p.from_client and "/DCMD/" in p.topic]


def messages(plant: Any) -> list[pb.Payload]:
    return [pb.Payload.FromString(p.payload) for p in commands(plant)]


def test_the_devices_did_it(plant: Any) -> None:
    outcomes = plant.observer.outcomes()
    assert {o.outcome for o in outcomes} == {report_pb2.OUTCOME_DONE}
    assert [(o.device, o.metric) for o in outcomes] == [write[:2] for write in WRITES]


@holds("operational-behavior-data-commands-dcmd-verb")
def the_verb_is_dcmd(plant: Any) -> None:
    topics = [p.topic for p in commands(plant)]
    assert topics == [f"spBv1.0/{SITE}/DCMD/{NODE}/{device}" for device, _, _ in WRITES]


@holds("topics-dcmd-mqtt", "payloads-dcmd-qos", "payloads-dcmd-retain")
def it_is_sent_once_and_not_kept(plant: Any) -> None:
    assert [(p.qos, p.retain) for p in commands(plant)] == [(0, False)] * len(WRITES)
    # To a subscription that is there a broker never says that a message is retained: only who
    # comes later would be told.
    late = type(plant.observer)(plant.broker)
    late.say("headrace/test/late", b"x", qos=1)
    late.until(lambda: any(said.topic == "headrace/test/late" for said in late.heard))
    late.close()
    assert not late.of("DCMD")


@holds("topics-dcmd-timestamp", "payloads-dcmd-timestamp")
def it_says_when(plant: Any) -> None:
    for message in messages(plant):
        assert plant.began_ms <= message.timestamp <= plant.ended_ms


@holds("payloads-dcmd-seq")
def it_has_no_sequence(plant: Any) -> None:
    assert not any(message.HasField("seq") for message in messages(plant))


def written(plant: Any) -> list[pb.Metric]:
    """The metrics that are not about the command itself."""
    return [
        metric
        for message in messages(plant)
        for metric in message.metrics
        if not metric.name.startswith("Headrace/")
    ]


@holds("topics-dcmd-payload")
def it_has_what_is_to_be_written(plant: Any) -> None:
    values = [(m.name, getattr(m, m.WhichOneof("value"))) for m in written(plant)]
    assert values == [write[1:] for write in WRITES]


def declared(plant: Any, device: str) -> dict[str, int]:
    birth = next(said for said in plant.of("DBIRTH") if said.device == device)
    return {m.name: m.datatype for m in birth.message.metrics}


@holds("operational-behavior-data-commands-dcmd-metric-name")
def it_names_what_the_birth_has(plant: Any) -> None:
    for (device, _, _), metric in zip(WRITES, written(plant), strict=True):
        assert metric.name in declared(plant, device)


@holds("operational-behavior-data-commands-dcmd-metric-value")
def its_value_is_compatible(plant: Any) -> None:
    for (device, _, _), metric in zip(WRITES, written(plant), strict=True):
        assert metric.datatype == COMPATIBLE[declared(plant, device)[metric.name]]


@pytest.mark.parametrize("assertion", sorted(CHECKS))
def test_assertion(assertion: str, plant: Any) -> None:
    CHECKS[assertion](plant)
