"""What Sparkplug 3.0 asks of an MQTT server, held against the broker that Headrace brings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

Check = Callable[[Any], None]
CHECKS: dict[str, Check] = {}


def holds(*ids: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys((f"tck-id-{name}" for name in ids), check))
        return check

    return register


@pytest.fixture(scope="module")
def plant(plants: Any) -> Any:
    return plants()


def heard(plant: Any, topic: str) -> list[Any]:
    return [s for s in list(plant.observer.heard) if s.topic == topic]


def passes_on(plant: Any, qos: int) -> None:
    topic = f"headrace/test/{qos}"
    plant.observer.say(topic, b"x", qos=qos)
    plant.observer.until(lambda: heard(plant, topic))
    assert heard(plant, topic)[0].qos == qos


@holds("conformance-mqtt-qos0")
def qos_0(plant: Any) -> None:
    passes_on(plant, 0)


@holds("conformance-mqtt-qos1")
def qos_1(plant: Any) -> None:
    passes_on(plant, 1)


def late_listener(plant: Any, topic: str) -> list[bytes]:
    """What someone who comes now is given at once, up to a mark."""
    given: list[bytes] = []
    marked = threading.Event()

    def take(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic == "headrace/test/mark":
            marked.set()
        elif message.retain:
            given.append(message.payload)

    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(plant.broker.user, plant.broker.password)
    client.on_message = take
    client.on_subscribe = lambda *_: plant.observer.say("headrace/test/mark", b"", qos=1)
    client.connect(plant.broker.host, plant.broker.mqtt_port)
    client.subscribe([(topic, 1), ("headrace/test/mark", 1)])
    client.loop_start()
    assert marked.wait(60)
    client.disconnect()
    client.loop_stop()
    return given


@holds("conformance-mqtt-retained")
def retained(plant: Any) -> None:
    topic = "headrace/test/kept"
    plant.observer.say(topic, b"old", qos=1, retain=True)
    plant.observer.say(topic, b"new", qos=1, retain=True)
    plant.observer.say(topic, b"passing", qos=1)
    assert late_listener(plant, topic) == [b"new"]
    plant.observer.say(topic, b"", qos=1, retain=True)
    assert late_listener(plant, topic) == []


@holds("conformance-mqtt-will-messages")
def wills(plant: Any) -> None:
    topic = "headrace/test/will"
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(plant.broker.user, plant.broker.password)
    client.will_set(topic, b"gone", qos=1, retain=True)
    client.connect("127.0.0.1", plant.tap.port)
    client.loop_start()
    plant.until(lambda: [p for p in plant.tap.packets if p.kind == "CONNACK"])
    client.loop_stop()
    plant.tap.cut()
    plant.observer.until(lambda: heard(plant, topic))
    assert heard(plant, topic)[0].qos == 1
    assert late_listener(plant, topic) == [b"gone"]


@pytest.mark.parametrize("assertion", sorted(CHECKS))
def test_assertion(assertion: str, plant: Any) -> None:
    CHECKS[assertion](plant)
