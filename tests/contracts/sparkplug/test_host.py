"""What Sparkplug 3.0 asks of a host application, held against the processor.

Its connection is watched by a tap through a day: connect, a false report of its death, a cut cable,
a stop. What it makes of births and deaths is asked of its acquisition, message in, state out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from edge_agent.v1 import sparkplug_b_pb2 as pb
from stream_processor import sparkplug
from stream_processor.acquisition import Acquisition
from stream_processor.messages import Message, Rebirth
from stream_processor.mqtt_publisher import MqttPublisher
from stream_processor.reordering import REORDER_TIMEOUT_S
from stream_processor.settings import Settings

Check = Callable[[Any], None]
CHECKS: dict[str, Check] = {}
STATE_CHECKS: dict[str, Callable[[], None]] = {}


def holds(*ids: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys((f"tck-id-{name}" for name in ids), check))
        return check

    return register


def makes_of_it(*ids: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def register(check: Callable[[], None]) -> Callable[[], None]:
        STATE_CHECKS.update(dict.fromkeys((f"tck-id-{name}" for name in ids), check))
        return check

    return register


def states(plant: Any) -> list[Any]:
    return [s for s in plant.wire if s.topic == plant.topic]


@pytest.fixture(scope="module")
def day(plants: Any, host_id: str) -> Any:
    plant = plants()
    plant.topic = f"spBv1.0/STATE/{host_id}"
    plant.began_ms = time.time_ns() // 1_000_000
    environment = {
        **plant.broker.environment,
        "HEADRACE_MQTT_PORT": str(plant.tap.port),
        "HEADRACE_HOST_ID": host_id,
    }
    publisher = MqttPublisher(Settings.from_environment(environment))
    plant.until(lambda: len(states(plant)) == 1)
    now = time.time_ns() // 1_000_000
    publisher.command("spBv1.0/riverside/NCMD/gw-9", sparkplug.rebirth_command(now))
    publisher.command("spBv1.0/riverside/NCMD/gw-9", sparkplug.resend_command(now, 1, 2, 3))
    plant.until(lambda: len(plant.of("NCMD")) == 2)

    def told() -> list[bool]:
        return [said.json["online"] for said in plant.observer.of("STATE")]

    plant.observer.state(False, 1)
    plant.observer.until(lambda: told() == [True, False, True])

    plant.tap.cut()
    # The broker speaks for the dead, and the host for itself again; twice, when it hears its death.
    plant.observer.until(lambda: False in told()[3:] and told()[-1])
    publisher.stop()
    plant.observer.until(lambda: not plant.observer.of("STATE")[-1].json["online"])
    plant.ended_ms = time.time_ns() // 1_000_000
    plant.until(lambda: plant.packets("DISCONNECT"))
    return plant


@holds(
    "conformance-primary-host",
    "intro-sparkplug-host-state",
    "components-ph-state",
    "host-topic-phid-birth-topic",
    "host-topic-phid-birth-payload",
    "message-flow-phid-sparkplug-state-publish-payload",
    "operational-behavior-host-application-connect-birth-topic",
    "operational-behavior-host-application-connect-birth-payload",
    "payloads-state-birth-payload",
)
def births_are_json(day: Any) -> None:
    online = [s.json for s in states(day) if s.json["online"]]
    assert len(online) >= 3
    for said in online:
        assert set(said) == {"online", "timestamp"}
        assert said["online"] is True
        assert day.began_ms <= said["timestamp"] <= day.ended_ms


@holds(
    "host-topic-phid-birth-message",
    "host-topic-phid-birth-required",
    "operational-behavior-host-application-connect-birth",
    "operational-behavior-primary-application-state-with-multiple-servers-state",
    "message-flow-phid-sparkplug-state-publish",
)
def a_birth_is_the_first_message(day: Any) -> None:
    for connection in (0, 1):
        first = next(
            p
            for p in day.tap.packets
            if p.connection == connection and p.from_client and p.kind == "PUBLISH"
        )
        assert first.topic == day.topic
        assert b'"online": true' in first.payload


@holds(
    "host-topic-phid-birth-qos",
    "host-topic-phid-birth-retain",
    "host-topic-phid-death-qos",
    "host-topic-phid-death-retain",
    "operational-behavior-host-application-connect-birth-qos",
    "operational-behavior-host-application-connect-birth-retained",
    "operational-behavior-host-application-death-qos",
    "operational-behavior-host-application-death-retained",
    "payloads-state-birth",
)
def states_are_retained(day: Any) -> None:
    assert {(s.qos, s.retain) for s in states(day)} == {(1, True)}


@holds("payloads-state-subscribe")
def the_host_listens_to_itself_first(day: Any) -> None:
    for connection in (0, 1):
        own = [
            p
            for p in day.tap.packets
            if p.connection == connection and p.from_client and p.kind != "PUBACK"
        ]
        assert [p.kind for p in own[:3]] == ["CONNECT", "SUBSCRIBE", "PUBLISH"]
        assert own[1].filters == ((day.topic, 1),)


@holds(
    "host-topic-phid-death-topic",
    "host-topic-phid-death-required",
    "host-topic-phid-death-payload",
    "host-topic-phid-death-payload-timestamp-connect",
    "operational-behavior-host-application-connect-will",
    "operational-behavior-host-application-connect-will-topic",
    "operational-behavior-host-application-connect-will-payload",
    "operational-behavior-host-application-connect-will-qos",
    "operational-behavior-host-application-connect-will-retained",
    "operational-behavior-host-application-death-payload",
    "payloads-state-will-message",
    "payloads-state-will-message-qos",
    "payloads-state-will-message-retain",
    "payloads-state-will-message-payload",
)
def the_will_is_a_death(day: Any) -> None:
    assert len(day.packets("CONNECT")) == 2
    for packet in day.packets("CONNECT"):
        will = packet.will
        assert (will.topic, will.qos, will.retain) == (day.topic, 1, True)
        said = type(day.wire[0])(will.topic, will.payload, 1, True).json
        assert set(said) == {"online", "timestamp"}
        assert said["online"] is False
        assert day.began_ms <= said["timestamp"] <= day.ended_ms


@holds(
    "host-topic-phid-birth-payload-timestamp",
    "message-flow-phid-sparkplug-state-publish-payload-timestamp",
    "message-flow-hid-sparkplug-state-message-delivered",
)
def births_have_the_time_of_the_will(day: Any) -> None:
    for connection, count in ((0, 2), (1, 1)):
        (connect,) = [p for p in day.packets("CONNECT") if p.connection == connection]
        own = [s.json for s in states(day) if s.connection == connection and s.json["online"]]
        # The second of the first connection contradicts a false report of its death.
        assert len(own) >= count
        expected = connect.will.payload.replace(b"false", b"true")
        assert all(s.payload == expected for s in states(day) if s.json in own)


@holds("message-flow-phid-sparkplug-clean-session-311")
def sessions_are_clean(day: Any) -> None:
    assert {(p.version, p.clean_session) for p in day.packets("CONNECT")} == {(4, True)}


@holds(
    "host-topic-phid-death-payload-timestamp-disconnect-clean",
    "operational-behavior-host-application-termination",
    "operational-behavior-host-application-death-topic",
    "operational-behavior-host-application-disconnect-intentional",
)
def leaving_says_farewell(day: Any) -> None:
    own = [p for p in day.tap.packets if p.connection == 1 and p.from_client]
    assert own[-1].kind == "DISCONNECT"
    last = [s for s in states(day) if s.connection == 1][-1]
    assert last.json["online"] is False
    assert day.began_ms <= last.json["timestamp"] <= day.ended_ms
    assert last.payload != day.packets("CONNECT")[1].will.payload


@holds(
    "topics-ncmd-mqtt",
    "payloads-ncmd-qos",
    "payloads-ncmd-retain",
    "operational-behavior-data-commands-ncmd-verb",
    "operational-behavior-data-commands-ncmd-rebirth-verb",
)
def commands_are_sent_once(day: Any) -> None:
    assert [(s.topic, s.qos, s.retain) for s in day.of("NCMD")] == [
        ("spBv1.0/riverside/NCMD/gw-9", 0, False)
    ] * 2


@holds("topics-ncmd-timestamp", "payloads-ncmd-timestamp")
def commands_say_when(day: Any) -> None:
    for said in day.of("NCMD"):
        assert day.began_ms <= said.message.timestamp <= day.ended_ms


@holds("payloads-ncmd-seq")
def commands_have_no_sequence(day: Any) -> None:
    assert not any(said.message.HasField("seq") for said in day.of("NCMD"))


@holds(
    "topics-ncmd-payload",
    "operational-behavior-data-commands-ncmd-rebirth-name",
    "operational-behavior-data-commands-ncmd-rebirth-value",
    "operational-behavior-data-commands-ncmd-metric-name",
    "operational-behavior-data-commands-ncmd-metric-value",
    "payloads-name-cmd-requirement",
)
def commands_name_what_a_birth_offers(day: Any) -> None:
    rebirth, resend = (said.message.metrics[0] for said in day.of("NCMD"))
    assert (rebirth.name, rebirth.boolean_value) == ("Node Control/Rebirth", True)
    assert (resend.name, resend.datatype) == ("Node Control/Resend", pb.DATA_TYPE_UINT64_ARRAY)
    assert rebirth.timestamp
    assert resend.timestamp


@pytest.mark.parametrize("assertion", sorted(CHECKS))
def test_assertion(assertion: str, day: Any) -> None:
    CHECKS[assertion](day)


NOW_MS = 1_767_592_800_000


class Node:
    """The acquisition of a node that is not of our make."""

    def __init__(self, bd_seq: int = 7) -> None:
        self.acquisition, self.place = Acquisition(), 0
        self.say("NBIRTH", bd_seq=bd_seq)
        for device in ("M-1", "M-2"):
            self.say("DBIRTH", device, value=1.0)

    @property
    def births(self) -> Any:
        return self.acquisition.births

    def say(
        self, kind: str, device: str = "", bd_seq: int | None = None, value: float | None = None,
        at_ms: int = NOW_MS, received_ms: int = NOW_MS,
    ) -> list[Any]:  # fmt: skip
        payload = pb.Payload(timestamp=at_ms, seq=self.place % 256)
        if bd_seq is not None:
            payload.metrics.add(name="bdSeq", datatype=pb.DATA_TYPE_INT64, long_value=bd_seq)
        if value is not None:
            payload.metrics.add(
                name="Level", datatype=pb.DATA_TYPE_DOUBLE, double_value=value, timestamp=at_ms
            )
        self.place += 1
        tail = f".{device}" if device else ""
        subject = f"spBv1//0.s.{kind}.n{tail}"
        message = Message(subject, payload.SerializeToString(), self.place, received_ms)
        return self.acquisition.update(message, received_ms / 1000)


@makes_of_it(
    "operational-behavior-edge-node-termination-host-action-ndeath-node-offline",
    "operational-behavior-edge-node-termination-host-action-ndeath-node-tags-stale",
    "operational-behavior-edge-node-termination-host-action-ndeath-devices-offline",
    "operational-behavior-edge-node-termination-host-action-ndeath-devices-tags-stale",
)
def a_node_that_died_is_stale_with_its_devices() -> None:
    node = Node()
    assert [node.births.stale_since_ms(d) for d in ("M-1", "M-2")] == [None, None]

    # A will was written at the connect: when it comes is when the host knew.
    node.say("NDEATH", bd_seq=7, at_ms=NOW_MS - 60_000, received_ms=NOW_MS + 9)

    assert not node.acquisition.alive
    assert node.births.away_since_ms == NOW_MS + 9
    assert [node.births.stale_since_ms(d) for d in ("M-1", "M-2")] == [NOW_MS + 9] * 2
    restored = Acquisition.restore(node.acquisition.state(), NOW_MS / 1000)
    assert restored.births.stale_since_ms("M-1") == NOW_MS + 9


@makes_of_it(
    "operational-behavior-edge-node-termination-host-action-ddeath-devices-offline",
    "operational-behavior-edge-node-termination-host-action-ddeath-devices-tags-stale",
)
def a_device_that_died_is_stale_alone() -> None:
    node = Node()

    node.say("DDEATH", "M-2", at_ms=NOW_MS + 5, received_ms=NOW_MS + 9)

    assert [node.births.stale_since_ms(d) for d in ("M-1", "M-2")] == [None, NOW_MS + 5]
    node.say("DBIRTH", "M-2", value=2.0)
    assert node.births.stale_since_ms("M-2") is None


@makes_of_it(
    "operational-behavior-host-reordering-start",
    "operational-behavior-host-reordering-rebirth",
)
def a_message_that_does_not_come_brings_a_rebirth() -> None:
    node, now = Node(), NOW_MS / 1000
    node.say("DDATA", "M-1", value=1.0)
    assert node.acquisition.order.due is None
    node.place += 2
    node.say("DDATA", "M-1", value=2.0)

    assert node.acquisition.due() == now + REORDER_TIMEOUT_S
    assert node.acquisition.tick(now + REORDER_TIMEOUT_S - 0.1) == []
    restored = Acquisition.restore(node.acquisition.state(), now)
    assert restored.tick(now + REORDER_TIMEOUT_S) == [Rebirth("s", "n")]
    assert restored.tick(now + 3 * REORDER_TIMEOUT_S) == []


@makes_of_it("operational-behavior-host-reordering-success")
def a_message_that_comes_late_ends_the_waiting() -> None:
    node, now = Node(), NOW_MS / 1000
    for place in (4, 6, 3, 5):
        node.place = place
        node.say("DDATA", "M-1", value=1.0)

    assert node.acquisition.order.due is None
    assert node.acquisition.tick(now + 10 * REORDER_TIMEOUT_S) == []
    # Another one is missed anew, also past the end of the numbers.
    for place in (*range(7, 254), 254, 1):
        node.place = place
        node.say("DDATA", "M-1", value=1.0)
    assert node.acquisition.order.due == now + REORDER_TIMEOUT_S


@pytest.mark.parametrize("assertion", sorted(STATE_CHECKS))
def test_state(assertion: str) -> None:
    STATE_CHECKS[assertion]()


def test_the_late_will_of_an_earlier_session_kills_nobody() -> None:
    node = Node(bd_seq=8)

    node.say("NDEATH", bd_seq=7)

    assert node.acquisition.alive
    assert node.births.away_since_ms is None
