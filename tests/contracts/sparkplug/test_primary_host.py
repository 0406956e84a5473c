"""An edge node that has a primary host speaks while the host is there, and keeps the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SITE, NODE = "riverside", "gw-1"
Check = Callable[[Any], None]
CHECKS: dict[str, Check] = {}


def holds(*ids: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys((f"tck-id-{name}" for name in ids), check))
        return check

    return register


def place(plant: Any, start: int, matches: Callable[[Any], bool]) -> int:
    return next(i for i, p in enumerate(plant.tap.packets[start:], start) if p.topic and matches(p))


def state_at(plant: Any, host_id: str, content: str) -> int:
    """Where in the recording the agent was given a STATE message."""
    return place(
        plant,
        0,
        lambda p: (
            not p.from_client
            and p.topic == f"spBv1.0/STATE/{host_id}"
            and content.encode() in p.payload
        ),
    )


def births(plant: Any) -> list[int]:
    return [i for i, p in enumerate(plant.tap.packets) if p.from_client and "/NBIRTH/" in p.topic]


def waits(plant: Any) -> int:
    return plant.log.read_text(encoding="utf-8").count("waiting for the primary host")


@pytest.fixture(scope="module")
def story(plants: Any, host_id: str) -> Any:
    plant = plants(primary=host_id)
    observer, topic = plant.observer, f"spBv1.0/STATE/{host_id}"
    plant.host_id = host_id
    plant.start()
    plant.until(lambda: plant.packets("SUBSCRIBE"))
    observer.state(True, 50, host="another-host")
    observer.state(False, 5)
    for wrong in (b"ONLINE", b"{}", b'{"online": "yes", "timestamp": 6}', b"\xff"):
        observer.say(topic, wrong, qos=1)
    observer.state(True, 10)
    plant.until(lambda: len(plant.of("DDATA")) >= 20)

    observer.state(False, 9)
    observer.command(**{"Node Control/Rebirth": True})
    plant.until(lambda: len(plant.of("NBIRTH")) == 2)

    observer.state(False, 10)
    plant.until(lambda: len(plant.packets("CONNECT")) == 2)
    observer.state(True, 3)
    observer.state(True, 11)
    plant.until(lambda: len(plant.of("NBIRTH")) == 3)
    seen = len(plant.of("NDATA"))
    plant.until(lambda: len(plant.of("NDATA")) >= seen + 2)
    return plant


@holds(
    "message-flow-edge-node-birth-publish-phid-wait",
    "message-flow-edge-node-birth-publish-phid-wait-online",
    "operational-behavior-edge-node-birth-sequence-wait",
)
def births_wait_for_the_host(story: Any) -> None:
    assert births(story)[0] > state_at(story, story.host_id, '"online": true, "timestamp": 10')
    assert waits(story) == 2


@holds("message-flow-edge-node-birth-publish-phid-wait-id")
def another_host_is_not_the_one(story: Any) -> None:
    filters = {where for p in story.packets("SUBSCRIBE") for where, _ in p.filters}
    assert {f for f in filters if "STATE" in f} == {f"spBv1.0/STATE/{story.host_id}"}
    heard = [said.topic for said in story.observer.heard]
    birth = heard.index(f"spBv1.0/{SITE}/NBIRTH/{NODE}")
    assert heard.index("spBv1.0/STATE/another-host") < birth
    assert births(story)[0] > state_at(story, story.host_id, '"online": true, "timestamp": 10')


@holds("message-flow-edge-node-birth-publish-phid-wait-timestamp")
def an_old_message_brings_no_birth(story: Any) -> None:
    assert births(story)[2] > state_at(story, story.host_id, '"online": true, "timestamp": 11')


@holds("operational-behavior-edge-node-termination-host-offline-timestamp")
def an_old_message_ends_nothing(story: Any) -> None:
    old = state_at(story, story.host_id, '"online": false, "timestamp": 9')
    packets = story.tap.packets
    assert births(story)[1] > old
    assert packets[births(story)[1]].connection == packets[births(story)[0]].connection


@holds(
    "message-flow-edge-node-birth-publish-phid-offline",
    "operational-behavior-edge-node-termination-host-offline",
    "operational-behavior-edge-node-termination-host-offline-reconnect",
)
def an_offline_host_ends_the_session(story: Any) -> None:
    told = state_at(story, story.host_id, '"online": false, "timestamp": 10')
    own = [p for p in story.tap.packets if p.from_client and p.connection == 0]
    assert (own[-2].topic, own[-1].kind) == (f"spBv1.0/{SITE}/NDEATH/{NODE}", "DISCONNECT")
    death = place(story, told, lambda p: p.from_client and "/NDEATH/" in p.topic)
    assert death > told
    assert [p.connection for p in story.packets("CONNECT")] == [0, 1]


@holds("operational-behavior-primary-application-state-with-multiple-servers-state-subs")
def the_node_subscribes_to_the_state(story: Any) -> None:
    for connection in (0, 1):
        own = [p for p in story.packets("SUBSCRIBE") if p.connection == connection]
        assert (f"spBv1.0/STATE/{story.host_id}", 1) in [f for p in own for f in p.filters]


@pytest.mark.parametrize("assertion", sorted(CHECKS))
def test_assertion(assertion: str, story: Any) -> None:
    CHECKS[assertion](story)


def test_what_was_measured_meanwhile_is_not_lost(story: Any) -> None:
    numbers = {
        said.metric("Headrace/Batch").long_value
        for said in story.wire
        if said.kind in ("NDATA", "DDATA")
    }
    assert numbers == set(range(1, max(numbers) + 1))
