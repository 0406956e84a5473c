"""Which topics cross, and that none can go round."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from stream_processor.bridge.topics import (
    DEVICE_TYPES,
    FLEET_TYPES,
    NODE_TYPES,
    Misfit,
    Route,
    downward,
    is_command,
    is_name,
    message_id,
    route,
    subject_of,
    upward,
)
from stream_processor.messages import Message

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/+#.*>", exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=60,
).filter(lambda name: name not in NODE_TYPES + DEVICE_TYPES)
TOPICS = st.one_of(
    st.tuples(st.just("spBv1.0"), NAMES, st.sampled_from(NODE_TYPES), NAMES),
    st.tuples(st.just("spBv1.0"), NAMES, st.sampled_from(DEVICE_TYPES), NAMES, NAMES),
    st.tuples(st.just("headrace"), st.sampled_from(FLEET_TYPES), NAMES, NAMES),
).map("/".join)
ANSWERS = st.one_of(
    st.tuples(st.just("spBv1.0"), NAMES, st.just("NCMD"), NAMES),
    st.tuples(st.just("spBv1.0"), NAMES, st.just("DCMD"), NAMES, NAMES),
    st.tuples(st.just("headrace/ack"), NAMES, NAMES),
    st.tuples(st.just("spBv1.0/STATE"), NAMES),
).map("/".join)


def matches(filters: list[str], topic: str) -> bool:
    return any(topic_matches_sub(one, topic) for one in filters)


@given(TOPICS, NAMES)
def test_the_plant_s_messages_go_up_only(topic: str, host_id: str) -> None:
    assert matches(upward(()), topic)
    assert not matches(downward((), host_id), topic)
    place = route(topic)
    assert isinstance(place, Route)
    assert place.subject == subject_of(topic)
    levels = topic.split("/")
    node = levels[3]
    assert (place.site, place.edge_node) == (levels[2 if levels[0] == "headrace" else 1], node)


@given(ANSWERS, NAMES)
def test_the_cloud_s_messages_go_down_only(topic: str, host_id: str) -> None:
    is_state = topic.startswith("spBv1.0/STATE/") and topic.count("/") == 2
    assert matches(downward((), topic.rpartition("/")[2] if is_state else host_id), topic)
    assert not matches(upward(()), topic)
    assert is_command(topic) == (("/NCMD/" in topic or "/DCMD/" in topic) and not is_state)


@given(TOPICS)
def test_the_processor_reads_the_topic_that_was(topic: str) -> None:
    if topic.startswith("spBv1.0/"):
        assert Message(subject_of(topic), b"", 1, 0).topic == topic


@given(st.text())
def test_any_topic_has_a_place_or_is_set_aside(topic: str) -> None:
    place = route(topic)
    if isinstance(place, Misfit):
        assert topic in place.detail
    else:
        assert all(is_name(level) for level in topic.split("/")[1:])


def test_filters_are_of_the_sites_that_are_wanted() -> None:
    filters = upward(("north",), share="headrace")
    assert all(one.startswith("$share/headrace/") for one in filters)
    assert matches(upward(("north",)), "spBv1.0/north/NDATA/gw-1")
    assert not matches(upward(("north",)), "spBv1.0/south/NDATA/gw-1")
    assert not matches(downward(("north",), "headrace"), "headrace/ack/south/gw-1")
    assert matches(downward(("north",), "headrace"), "spBv1.0/STATE/headrace")


def test_an_id_tells_deliveries_apart_and_finds_them_again() -> None:
    one = message_id("plant-1", 7, "a/b", b"c")
    assert one == message_id("plant-1", 7, "a/b", b"c")
    others = [
        message_id("plant-2", 7, "a/b", b"c"),
        message_id("plant-1", 8, "a/b", b"c"),
        message_id("plant-1", 7, "a/c", b"c"),
        message_id("plant-1", 7, "a/b", b"d"),
    ]
    assert len({one, *others}) == 5
