"""What Sparkplug 3.0 asks of an edge node and its devices, held against a real one.

One agent lives through a day: births, data past the end of `seq`, a rebirth, writes, a lost device,
a cut cable, a stop, another start, a kill. The tap has all that it said. Every test is named by the
assertion of the specification that it holds.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from edge_agent.v1 import sparkplug_b_pb2 as pb

SITE, NODE = "riverside", "gw-1"
BIRTHS, DATA = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA")
Check = Callable[[Any], None]
CHECKS: dict[str, Check] = {}


def holds(*ids: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        for name in ids:
            assert f"tck-id-{name}" not in CHECKS
            CHECKS[f"tck-id-{name}"] = check
        return check

    return register


def is_historical(said: Any) -> bool:
    return all(m.is_historical for m in said.message.metrics)


def sessions(plant: Any) -> list[list[Any]]:
    """What was said from each NBIRTH to the next, a connection's end included."""
    found: list[list[Any]] = []
    for said in plant.wire:
        if said.kind == "NBIRTH":
            found.append([])
        if found:
            found[-1].append(said)
    return found


@pytest.fixture(scope="module")
def day(plants: Any) -> Any:
    plant = plants()
    observer = plant.observer
    agent = plant.start()
    plant.until(lambda: len(plant.of("DDATA")) >= 300 and plant.of("NDATA"))

    observer.command(**{"Node Control/Rebirth": True})
    plant.until(lambda: len(plant.of("NBIRTH")) == 2 and len(plant.of("DBIRTH")) == 4)
    seen = len(plant.of("DDATA"))
    plant.until(lambda: len(plant.of("DDATA")) >= seen + 10)

    observer.command("M-2", Link=False)
    plant.until(lambda: plant.of("DDEATH"))
    observer.command(**{"Node Control/Rebirth": True})
    plant.until(lambda: len(plant.of("DDEATH")) == 2)
    observer.command("M-2", Link=True)
    plant.until(lambda: plant.wire[-1].device == "M-2" and plant.wire[-1].kind == "DDATA")

    plant.tap.cut()
    plant.until(lambda: len(plant.packets("CONNECT")) == 2 and len(plant.of("NBIRTH")) == 4)
    # Until it has caught up with what is measured now.
    plant.until(lambda: plant.wire[-1].kind in DATA and not is_historical(plant.wire[-1]))

    agent.send_signal(signal.SIGTERM)
    assert agent.wait(60) == 0
    agent = plant.start()
    plant.until(lambda: len(plant.packets("CONNECT")) == 3 and plant.wire[-1].kind == "DDATA")
    agent.kill()
    # The cable's, the stop's own and the kill's.
    observer.until(lambda: len(observer.of("NDEATH")) == 3)
    plant.dead_ms = time.time_ns() // 1_000_000
    return plant


def test_the_day_was_eventful(day: Any) -> None:
    kinds = {said.kind for said in day.wire}
    assert kinds == {"NBIRTH", "DBIRTH", "NDATA", "DDATA", "DDEATH", "NDEATH"}
    assert len(sessions(day)) == 5
    assert any(is_historical(said) for said in day.of("DDATA"))
    assert max(len(s) for s in sessions(day)) > 256


@holds(
    "topic-structure",
    "topic-structure-namespace-a",
    "intro-group-id-string",
    "intro-group-id-chars",
    "intro-edge-node-id-string",
    "intro-edge-node-id-chars",
    "intro-device-id-string",
    "intro-device-id-chars",
    "topic-structure-namespace-valid-group-id",
    "topic-structure-namespace-valid-edge-node-id",
    "topic-structure-namespace-valid-device-id",
    "topic-structure-namespace-device-id-associated-message-types",
    "topic-structure-namespace-device-id-non-associated-message-types",
)
def topics(day: Any) -> None:
    for said in day.wire:
        form = r"spBv1\.0/[^+#/]+/(N(BIRTH|DATA|DEATH)/[^+#/]+|D(BIRTH|DATA|DEATH)/[^+#/]+/[^+#/]+)"
        assert re.fullmatch(form, said.topic), said.topic


@holds("topic-structure-namespace-unique-device-id")
def devices(day: Any) -> None:
    for session in sessions(day):
        birth = next(i for i, said in enumerate(session) if said.kind == "DBIRTH")
        born = [said.device for said in session[birth : birth + 2]]
        assert born == ["M-1", "M-2"]


def topic_of(kind: str) -> Check:
    def check(day: Any) -> None:
        assert day.of(kind)
        where = {said.topic for said in day.of(kind)}
        base = f"spBv1.0/{SITE}/{kind}/{NODE}"
        assert where <= ({base} if kind[0] == "N" else {f"{base}/M-1", f"{base}/M-2"})

    return check


for kind in ("nbirth", "ndata", "ndeath", "dbirth", "ddata", "ddeath"):
    holds(f"topics-{kind}-topic")(topic_of(kind.upper()))
holds("message-flow-edge-node-birth-publish-nbirth-topic")(topic_of("NBIRTH"))
holds("message-flow-device-birth-publish-dbirth-topic")(topic_of("DBIRTH"))


def flags_of(kind: str) -> Check:
    def check(day: Any) -> None:
        assert {(said.qos, said.retain) for said in day.of(kind)} == {(0, False)}

    return check


for kind, ids in {
    "NBIRTH": (
        "topics-nbirth-mqtt", "payloads-nbirth-qos", "payloads-nbirth-retain",
        "message-flow-edge-node-birth-publish-nbirth-qos",
        "message-flow-edge-node-birth-publish-nbirth-retained",
    ),
    "DBIRTH": (
        "topics-dbirth-mqtt", "payloads-dbirth-qos", "payloads-dbirth-retain",
        "message-flow-device-birth-publish-dbirth-qos",
        "message-flow-device-birth-publish-dbirth-retained",
    ),
    "NDATA": ("topics-ndata-mqtt", "payloads-ndata-qos", "payloads-ndata-retain"),
    "DDATA": ("topics-ddata-mqtt", "payloads-ddata-qos", "payloads-ddata-retain"),
    "DDEATH": ("topics-ddeath-mqtt",),
}.items():  # fmt: skip
    holds(*ids)(flags_of(kind))


@holds(
    "topics-nbirth-seq-num",
    "payloads-nbirth-seq",
    "payloads-sequence-num-req-nbirth",
    "message-flow-edge-node-birth-publish-nbirth-payload-seq",
)
def births_begin_the_sequence(day: Any) -> None:
    assert {said.message.seq for said in day.of("NBIRTH")} == {0}
    assert all(said.message.HasField("seq") for said in day.of("NBIRTH"))


@holds(
    "payloads-sequence-num-always-included",
    "payloads-sequence-num-incrementing",
    "topics-ndata-seq-num",
    "topics-dbirth-seq",
    "topics-ddata-seq-num",
    "topics-ddeath-seq-num",
    "payloads-dbirth-seq",
    "payloads-dbirth-seq-inc",
    "payloads-ndata-seq",
    "payloads-ndata-seq-inc",
    "payloads-ddata-seq",
    "payloads-ddata-seq-inc",
    "payloads-ddeath-seq",
    "payloads-ddeath-seq-inc",
    "payloads-ddeath-seq-number",
    "message-flow-device-birth-publish-dbirth-payload-seq",
)
def the_sequence_counts(day: Any) -> None:
    for session in sessions(day):
        numbered = [said.message for said in session if said.kind != "NDEATH"]
        assert all(message.HasField("seq") for message in numbered)
        assert all(b.seq == (a.seq + 1) % 256 for a, b in pairwise(numbered))


@holds("topics-ndeath-seq", "payloads-ndeath-seq")
def deaths_have_no_sequence(day: Any) -> None:
    deaths = [said.message for said in day.of("NDEATH")]
    deaths += [pb.Payload.FromString(p.will.payload) for p in day.packets("CONNECT")]
    assert not any(message.HasField("seq") for message in deaths)


@holds(
    "topics-nbirth-timestamp",
    "topics-ndata-timestamp",
    "topics-dbirth-timestamp",
    "topics-ddata-timestamp",
    "payloads-timestamp-in-UTC",
    "payloads-nbirth-timestamp",
    "payloads-dbirth-timestamp",
    "payloads-ndata-timestamp",
    "payloads-ddata-timestamp",
    "payloads-ddeath-timestamp",
)
def messages_say_when(day: Any) -> None:
    for said in day.wire:
        assert day.dead_ms - 600_000 < said.message.timestamp <= day.dead_ms, said


@holds("payloads-name-birth-data-requirement", "payloads-metric-timestamp-in-UTC")
def metrics_say_when(day: Any) -> None:
    for said in day.of(*BIRTHS, *DATA):
        for metric in said.message.metrics:
            assert day.dead_ms - 600_000 < metric.timestamp <= day.dead_ms, metric


@holds("topics-nbirth-metrics", "topics-dbirth-metrics", "payloads-metric-datatype-req")
def births_declare_name_type_and_value(day: Any) -> None:
    for said in day.of(*BIRTHS):
        for metric in said.message.metrics:
            assert metric.name
            assert metric.datatype
            assert metric.is_null or metric.WhichOneof("value"), metric.name


@holds(
    "operational-behavior-data-publish-nbirth-values",
    "operational-behavior-data-publish-dbirth-values",
)
def null_is_said(day: Any) -> None:
    for said in day.of(*BIRTHS):
        for metric in said.message.metrics:
            assert metric.is_null == (metric.WhichOneof("value") is None)


def born(session: list[Any], device: str) -> dict[Any, pb.Metric]:
    """What the last birth of a session declares, by name and by alias."""
    birth = [said for said in session if said.kind in BIRTHS and said.device == device][-1]
    found: dict[Any, pb.Metric] = {m.name: m for m in birth.message.metrics}
    return found | {m.alias: m for m in birth.message.metrics if m.HasField("alias")}


@holds(
    "topics-nbirth-metric-reqs",
    "topics-dbirth-metric-reqs",
    "operational-behavior-data-publish-nbirth",
    "operational-behavior-data-publish-dbirth",
    "payloads-name-requirement",
)
def data_is_declared(day: Any) -> None:
    for session in sessions(day):
        for said in session:
            if said.kind in DATA:
                declared = born(session, said.device)
                for metric in said.message.metrics:
                    assert (metric.name or metric.alias) in declared


@holds("topics-ndata-payload")
def node_data_has_all_of_the_node(day: Any) -> None:
    declared = {m.alias for m in day.of("NBIRTH")[0].message.metrics if m.HasField("alias")}
    for said in day.of("NDATA"):
        assert {m.alias for m in said.message.metrics if not m.name} == declared


@holds("topics-ddata-payload")
def device_data_has_its_channels(day: Any) -> None:
    declared = born(sessions(day)[0], "M-1")
    for said in day.of("DDATA")[:50]:
        if said.device == "M-1":
            names = {declared[m.alias].name for m in said.message.metrics if not m.name}
            assert names == {"Vibration", "Speed"}


@holds("topics-nbirth-bdseq-included", "payloads-nbirth-bdseq")
def births_have_the_number_of_death(day: Any) -> None:
    assert all(said.metric("bdSeq").HasField("long_value") for said in day.of("NBIRTH"))


def death_number(payload: bytes) -> int:
    metrics = pb.Payload.FromString(payload).metrics
    assert [m.name for m in metrics] == ["bdSeq"]
    assert metrics[0].datatype == pb.DATA_TYPE_INT64
    return int(metrics[0].long_value)


@holds(
    "topics-nbirth-bdseq-matching",
    "payloads-nbirth-bdseq-repeat",
    "payloads-ndeath-bdseq",
    "message-flow-edge-node-birth-publish-nbirth-payload-bdSeq",
    "operational-behavior-data-commands-rebirth-action-3",
)
def birth_and_will_share_a_number(day: Any) -> None:
    wills = {p.connection: death_number(p.will.payload) for p in day.packets("CONNECT")}
    for said in day.of("NBIRTH"):
        assert said.metric("bdSeq").datatype == pb.DATA_TYPE_INT64
        assert said.metric("bdSeq").long_value == wills[said.connection]
    for said in day.of("NDEATH"):
        assert death_number(said.payload) == wills[said.connection]


@holds(
    "topics-nbirth-bdseq-increment",
    "message-flow-edge-node-birth-publish-will-message-payload-bdSeq",
)
def the_number_of_death_counts_connections(day: Any) -> None:
    assert [death_number(p.will.payload) for p in day.packets("CONNECT")] == [0, 1, 2]


@holds(
    "topics-nbirth-rebirth-metric",
    "payloads-nbirth-rebirth-req",
    "operational-behavior-data-commands-rebirth-name",
    "operational-behavior-data-commands-rebirth-name-aliases",
    "operational-behavior-data-commands-rebirth-datatype",
    "operational-behavior-data-commands-rebirth-value",
)
def births_offer_a_rebirth(day: Any) -> None:
    for said in day.of("NBIRTH"):
        metric = said.metric("Node Control/Rebirth")
        assert metric.datatype == pb.DATA_TYPE_BOOLEAN
        assert metric.WhichOneof("value") == "boolean_value"
        assert metric.boolean_value is False
        assert not metric.HasField("alias")


@holds(
    "operational-behavior-data-commands-rebirth-action-1",
    "operational-behavior-data-commands-rebirth-action-2",
    "payloads-dbirth-order",
    "payloads-ndata-order",
    "payloads-ddata-order",
    "message-flow-device-birth-publish-nbirth-wait",
    "principles-birth-certificates-order",
)
def births_come_first_and_together(day: Any) -> None:
    for connection in {p.connection for p in day.packets("CONNECT")}:
        first = next(s for s in day.wire if s.connection == connection)
        assert first.kind == "NBIRTH"
    for session in sessions(day):
        kinds = [(said.kind, said.device) for said in session[:3]]
        assert kinds == [("NBIRTH", ""), ("DBIRTH", "M-1"), ("DBIRTH", "M-2")]


@holds("topics-ndeath-payload")
def a_death_has_its_number_only(day: Any) -> None:
    for said in [*day.of("NDEATH"), *day.observer.of("NDEATH")]:
        assert [m.name for m in said.message.metrics] == ["bdSeq"]


@holds("principles-persistence-clean-session-311")
def sessions_are_clean(day: Any) -> None:
    assert [(p.version, p.clean_session) for p in day.packets("CONNECT")] == [(4, True)] * 3


@holds(
    "message-flow-edge-node-birth-publish-will-message",
    "message-flow-edge-node-birth-publish-will-message-topic",
    "message-flow-edge-node-birth-publish-will-message-payload",
    "message-flow-edge-node-birth-publish-will-message-qos",
    "message-flow-edge-node-birth-publish-will-message-will-retained",
    "payloads-ndeath-will-message",
    "payloads-ndeath-will-message-qos",
    "payloads-ndeath-will-message-retain",
)
def the_will_is_a_death(day: Any) -> None:
    for packet in day.packets("CONNECT"):
        will = packet.will
        assert will.topic == f"spBv1.0/{SITE}/NDEATH/{NODE}"
        assert (will.qos, will.retain) == (1, False)
        assert death_number(will.payload) >= 0


@holds("message-flow-edge-node-birth-publish-connect")
def there_is_a_session_before_births(day: Any) -> None:
    accepted = [p.connection for p in day.tap.packets if p.kind == "CONNACK"]
    assert {said.connection for said in day.of(*BIRTHS)} <= set(accepted)
    for connection in accepted:
        own = [p for p in day.tap.packets if p.connection == connection]
        births = [i for i, p in enumerate(own) if "BIRTH" in p.topic]
        assert next(i for i, p in enumerate(own) if p.kind == "CONNACK") < births[0]


def subscriptions(day: Any) -> dict[str, int]:
    return {where: qos for p in day.packets("SUBSCRIBE") for where, qos in p.filters}


@holds("message-flow-edge-node-ncmd-subscribe", "topics-ncmd-topic")
def the_node_listens(day: Any) -> None:
    assert subscriptions(day)[f"spBv1.0/{SITE}/NCMD/{NODE}"] == 1


@holds("message-flow-device-dcmd-subscribe", "topics-dcmd-topic")
def the_devices_listen(day: Any) -> None:
    for device in ("M-1", "M-2"):
        assert subscriptions(day)[f"spBv1.0/{SITE}/DCMD/{NODE}/{device}"] == 1


@holds(
    "message-flow-edge-node-birth-publish-nbirth-payload",
    "message-flow-device-birth-publish-dbirth-payload",
)
def births_are_protobuf(day: Any) -> None:
    for said in day.of(*BIRTHS):
        assert said.message.SerializeToString()
        message = pb.Payload.FromString(said.payload)
        message.DiscardUnknownFields()
        # The sequence was appended, so the order of the fields may differ, nothing else.
        assert len(message.SerializeToString()) == len(said.payload)


@holds("message-flow-device-birth-publish-dbirth-match-edge-node-topic")
def devices_are_of_the_node(day: Any) -> None:
    for session in sessions(day):
        levels = session[0].levels
        for said in session:
            assert (said.levels[1], said.levels[3]) == (levels[1], levels[3])


@holds("operational-behavior-device-ddeath")
def a_lost_device_dies_and_is_born_again(day: Any) -> None:
    story = [said.kind for said in day.wire if said.device == "M-2"]
    shown = [kind for before, kind in pairwise(["", *story]) if kind != before]
    lost = shown.index("DDEATH")
    assert lost > 1
    # Rebirth while it is away: declared, and dead.
    assert shown[lost : lost + 5] == ["DDEATH", "DBIRTH", "DDEATH", "DBIRTH", "DDATA"]
    assert shown.count("DDEATH") == 2


@holds(
    "operational-behavior-edge-node-intentional-disconnect-ndeath",
    "operational-behavior-edge-node-intentional-disconnect-packet",
    "payloads-ndeath-will-message-publisher",
    "payloads-ndeath-will-message-publisher-disconnect-mqtt311",
)
def leaving_says_farewell(day: Any) -> None:
    (bye,) = day.packets("DISCONNECT")
    own = [p for p in day.tap.packets if p.connection == bye.connection and p.from_client]
    assert own[-1].kind == "DISCONNECT"
    assert own[-2].topic == f"spBv1.0/{SITE}/NDEATH/{NODE}"
    # The cable and the kill say none of their own: the broker speaks for them.
    assert [said.connection for said in day.of("NDEATH")] == [bye.connection]


@holds(
    "operational-behavior-data-publish-nbirth-order",
    "operational-behavior-data-publish-dbirth-order",
)
def metrics_are_in_order_of_time(day: Any) -> None:
    for said in day.of(*BIRTHS, *DATA):
        times = [m.timestamp for m in said.message.metrics if not m.is_historical]
        assert times == sorted(times)


@holds("payloads-alias-uniqueness")
def aliases_are_unique(day: Any) -> None:
    for session in sessions(day):
        first = [said for said in session[:3] if said.kind in BIRTHS]
        aliases = [m.alias for s in first for m in s.message.metrics if m.HasField("alias")]
        assert len(aliases) == len(set(aliases))


@holds("payloads-alias-birth-requirement")
def aliases_come_with_names(day: Any) -> None:
    for said in day.of(*BIRTHS):
        assert all(m.name for m in said.message.metrics if m.HasField("alias"))


@holds("payloads-alias-data-cmd-requirement")
def data_has_alias_or_name(day: Any) -> None:
    for said in day.of(*DATA):
        assert all(bool(m.name) != m.HasField("alias") for m in said.message.metrics)


@holds("payloads-metric-datatype-value-type", "payloads-metric-datatype-value")
def datatypes_are_those_of_the_specification(day: Any) -> None:
    for said in day.of(*BIRTHS):
        assert all(1 <= m.datatype <= 34 for m in said.message.metrics)


@holds("payloads-metric-datatype-not-req")
def data_leaves_the_datatype_to_the_birth(day: Any) -> None:
    for said in day.of(*DATA):
        assert not any(m.HasField("datatype") for m in said.message.metrics)


@holds(
    "payloads-propertyset-keys-array-size",
    "payloads-propertyset-values-array-size",
    "payloads-metric-propertyvalue-type-type",
    "payloads-metric-propertyvalue-type-value",
    "payloads-metric-propertyvalue-type-req",
)
def properties_are_whole(day: Any) -> None:
    seen = 0
    for said in day.of("DBIRTH"):
        for metric in said.message.metrics:
            keys, values = metric.properties.keys, metric.properties.values
            assert len(keys) == len(values)
            assert all(1 <= value.type <= 15 for value in values)
            seen += len(keys)
    assert seen


@holds("payloads-propertyset-quality-value-type", "payloads-propertyset-quality-value-value")
def quality_is_one_of_three(day: Any) -> None:
    qualities = [
        value
        for said in day.of("DDATA")
        for metric in said.message.metrics
        for key, value in zip(metric.properties.keys, metric.properties.values, strict=True)
        if key == "Quality"
    ]
    assert {(v.type, v.WhichOneof("value"), v.int_value) for v in qualities} == {
        (pb.DATA_TYPE_INT32, "int_value", 500)
    }


@holds("case-sensitivity-metric-names")
def names_differ_in_more_than_case(day: Any) -> None:
    for said in day.of(*BIRTHS):
        names = [m.name.lower() for m in said.message.metrics]
        assert len(names) == len(set(names))


@holds("operational-behavior-primary-application-state-with-multiple-servers-single-server")
def one_connection_at_a_time(day: Any) -> None:
    order = [said.connection for said in day.wire]
    assert order == sorted(order)


@holds("topics-nbirth-templates", "payloads-template-definition-nbirth")
def no_template_comes_without_its_definition(day: Any) -> None:
    for said in day.of(*BIRTHS, *DATA):
        assert not any(m.HasField("template_value") for m in said.message.metrics)


@pytest.mark.parametrize("assertion", sorted(CHECKS))
def test_assertion(assertion: str, day: Any) -> None:
    CHECKS[assertion](day)


def test_after_an_outage_history_comes_in_order(day: Any) -> None:
    last = sessions(day)[3]
    keys = [
        (said.metric("Headrace/Boot Epoch").long_value, said.metric("Headrace/Batch").long_value)
        for said in last
        if said.kind in DATA
    ]
    assert keys == sorted(keys)
    marks = [is_historical(said) for said in last if said.kind in DATA]
    assert marks == sorted(marks, reverse=True)
    assert marks[0]
    assert not marks[-1]
