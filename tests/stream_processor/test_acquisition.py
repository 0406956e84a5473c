from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.v1.sparkplug_b_pb2 import Metric, Payload
from stream_processor import acquisition as subject
from stream_processor.acquisition import Acquisition
from stream_processor.batches import REMEMBERED_EPOCHS
from stream_processor.frames import Frame
from stream_processor.messages import Mark, Message, Rebirth, Resend, SetAside
from stream_processor.unborn import BIRTH_PATIENCE_S

NOW = 1_800_000_000.0
START_MS = int(NOW * 1000)


class Node:
    """An acquisition with a log in front of it and a clock that stands still."""

    def __init__(self, payloads: Any) -> None:
        self.payloads = payloads
        self.acquisition = Acquisition()
        self.sequence = 0
        self.now = NOW
        self.out: list[Any] = []

    def say(self, kind: str, payload: bytes, equipment: str = "") -> list[Any]:
        self.sequence += 1
        subject = (
            f"tele.0.riverside.{kind}.gateway-1.{equipment}"
            if equipment
            else f"spBv1//0.riverside.{kind}.gateway-1"
        )
        message = Message(subject, payload, self.sequence, int(self.now * 1000))
        return self.keep(self.acquisition.update(message, self.now))

    def keep(self, found: Sequence[Any]) -> list[Any]:
        self.out += found
        return list(found)

    def births(self, boot_epoch: int = 1, first_batch: int = 1, **what: Any) -> list[Any]:
        return [
            *self.say("NBIRTH", self.payloads.node_birth(boot_epoch, first_batch)),
            *self.say("DBIRTH", self.payloads.device_birth(**what), "P-101"),
        ]

    def block(self, batch: int | None, equipment: str = "P-101", **what: Any) -> list[Any]:
        what = {"sent_ms": int(self.now * 1000), **what}
        return self.say("DDATA", self.payloads.block(batch, **what), equipment)

    def wait(self, seconds: float) -> list[Any]:
        """Let the clock run, doing what is due when it is due."""
        until, found = self.now + seconds, []
        while (due := self.acquisition.due()) is not None and due <= until:
            self.now = max(self.now, due)
            found += self.keep(self.acquisition.tick(self.now))
        self.now = until
        return found

    def restart(self) -> None:
        state = pickle.loads(pickle.dumps(self.acquisition.state()))
        self.acquisition = Acquisition.restore(state, self.now)

    @property
    def batches(self) -> list[tuple[int, int]]:
        return [(f.boot_epoch, f.batch) for f in self.out if isinstance(f, Frame)]

    @property
    def frames(self) -> list[Frame]:
        return [f for f in self.out if isinstance(f, Frame)]

    @property
    def reasons(self) -> list[str]:
        return [a.reason for a in self.out if isinstance(a, SetAside)]


@pytest.fixture
def node(payloads: Any) -> Node:
    return Node(payloads)


def test_a_block_is_a_frame_of_float64(node: Node) -> None:
    node.births()
    (frame,) = node.block(1, samples=[1.5, np.inf, np.nan], start_ms=START_MS - 5)
    assert isinstance(frame, Frame)
    samples = frame.samples["Vibration"]
    assert samples.dtype == np.float64
    np.testing.assert_array_equal(samples, [1.5, np.nan, np.nan])
    assert (frame.start_time_ms, frame.sent_time_ms) == (START_MS - 5, START_MS)
    info = frame.info
    assert (info.key, info.equipment_class, info.path) == (
        "riverside/P-101",
        "centrifugal_pump",
        "a/b/c",
    )
    assert info.facts == {"Vane Count": 6}
    assert info.channels["Vibration"].sample_rate_hz == 3200.0
    assert info.channels["Vibration"].unit == "m/s2"
    assert len(frame.trace_id) == 32


def test_the_trace_id_of_a_resend_is_the_same(node: Node) -> None:
    node.births()
    (frame,) = node.block(1)
    other = Node(node.payloads)
    other.births()
    other.wait(100)
    (again,) = other.block(1, historical=True)
    assert again.is_historical
    assert again.trace_id == frame.trace_id


def test_health_of_the_node_is_a_batch_too(node: Node) -> None:
    node.births()
    node.block(1)
    node.say("NDATA", node.payloads.health(2))
    node.block(3)
    assert node.batches == [(1, 1), (1, 3)]
    assert node.acquisition.counts["processed"] == 3
    assert node.acquisition.marks() == [Mark("riverside", "gateway-1", 1, 3)]


def test_marks_come_when_they_grow_or_are_asked_for(node: Node) -> None:
    node.births()
    assert node.acquisition.marks() == []
    node.block(1)
    assert node.acquisition.marks() == [Mark("riverside", "gateway-1", 1, 1)]
    assert node.acquisition.marks() == []
    node.block(3)
    assert node.acquisition.marks() == []
    node.block(1)
    assert node.acquisition.marks() == [Mark("riverside", "gateway-1", 1, 1)]


def test_a_gap_that_never_closes_is_lost_and_the_rest_goes_on(node: Node) -> None:
    node.births()
    for batch in (1, 4, 5):
        node.block(batch, start_ms=START_MS + batch)
    said = node.wait(400)
    assert [(r.first, r.last) for r in said if isinstance(r, Resend)] == [(2, 3)] * 12
    assert node.batches == [(1, 1), (1, 4), (1, 5)]
    counts = node.acquisition.counts
    assert (counts["lost"], counts["gaps"], counts["resends"]) == (2, 1, 12)
    assert node.acquisition.marks()[-1].batch == 5


def test_what_may_have_been_unreadable_is_waited_for_a_minute(node: Node) -> None:
    node.births()
    node.block(1, start_ms=START_MS + 1)
    node.say("DDATA", b"\x12\x7f", "P-101")
    node.block(3, start_ms=START_MS + 3)
    said = node.wait(70)
    assert [(r.first, r.last) for r in said if isinstance(r, Resend)] == [(2, 2)] * 4
    assert node.batches == [(1, 1), (1, 3)]
    # What comes after it is in order, and what is missing then is waited for longer again.
    node.block(5, start_ms=START_MS + 5)
    assert len([r for r in node.wait(70) if isinstance(r, Resend)]) == 5
    assert node.batches == [(1, 1), (1, 3)]


def test_a_node_that_is_away_is_waited_for(node: Node) -> None:
    node.births()
    node.block(1)
    node.block(3, start_ms=START_MS + 3)
    node.say("NDEATH", node.payloads.node_birth())
    assert node.wait(200) == []
    node.say("NBIRTH", node.payloads.node_birth(1, 2))
    assert [type(item) for item in node.wait(3)] == [Resend]


def test_what_the_disk_of_the_node_lost_is_not_waited_for(node: Node) -> None:
    node.births()
    node.block(1)
    node.block(4, start_ms=START_MS + 4)
    node.say("NBIRTH", node.payloads.node_birth(1, 3))
    assert node.batches == [(1, 1)]
    assert node.acquisition.counts["lost"] == 1
    node.block(3, start_ms=START_MS + 3)
    assert node.batches == [(1, 1), (1, 3), (1, 4)]


def test_an_answer_further_on_in_the_log_is_waited_for(node: Node) -> None:
    """Behind by an hour, the clock says nothing about what the node has answered since."""
    node.births()
    node.block(1)
    node.now += 3600
    message = Message(
        "tele.0.riverside.DDATA.gateway-1.P-101",
        node.payloads.block(3, sent_ms=START_MS + 3),
        99,
        START_MS,
    )
    node.acquisition.update(message, node.now)
    due = node.acquisition.due()
    assert due is not None
    assert node.acquisition.tick(due - 0.5) == []
    node.acquisition.update(message, due)
    assert node.acquisition.tick(due) == []
    assert node.acquisition.counts["resends"] == 0


def test_an_earlier_boots_spool_is_read_under_its_own_birth(node: Node) -> None:
    node.births(1)
    node.block(1)
    other = {"Vibration": 3, "Edge/Score": 2, "Temperature": 1}
    node.births(2, aliases=other)
    (frame,) = node.block(2, samples=[7.0], start_ms=START_MS + 1, historical=True)
    assert list(frame.samples) == ["Vibration"]
    assert node.block(1, historical=True) == []
    assert node.batches == [(1, 1), (1, 2)]
    marks = node.acquisition.marks()
    assert [(m.boot_epoch, m.batch) for m in marks] == [(1, 2)]


def test_a_spool_nobody_remembers_starts_at_its_first_batch(node: Node) -> None:
    node.births(5)
    node.block(71, boot_epoch=4, historical=True)
    node.block(72, boot_epoch=4, historical=True, start_ms=START_MS + 1)
    node.block(1, boot_epoch=5, start_ms=START_MS + 2)
    assert node.batches == [(4, 71), (4, 72), (5, 1)]
    assert [(m.boot_epoch, m.batch) for m in node.acquisition.marks()] == [(4, 72), (5, 1)]


def test_data_of_a_boot_that_was_not_announced_waits_for_its_birth(node: Node) -> None:
    node.births(1)
    (command,) = node.block(1, boot_epoch=2)
    assert command == Rebirth("riverside", "gateway-1")
    assert node.block(2, boot_epoch=2, start_ms=START_MS + 2) == []
    node.births(2)
    assert node.batches == [(2, 1), (2, 2)]


def test_rebirths_are_asked_for_once_in_five_seconds(node: Node) -> None:
    for batch in range(1, 13):
        node.block(batch)
        node.wait(1.0)
    asked = [item for item in node.out if isinstance(item, Rebirth)]
    assert len(asked) == 3


def test_data_without_a_birth_is_set_aside_and_not_acknowledged_before(node: Node) -> None:
    node.births()
    node.block(1)
    node.block(2, "P-999")
    node.block(3, start_ms=START_MS + 3)
    assert node.acquisition.marks()[-1].batch == 1
    node.wait(BIRTH_PATIENCE_S + 1)
    assert node.reasons == ["NO_BIRTH"]
    assert node.acquisition.marks()[-1].batch == 3
    node.block(4, "P-999")
    assert node.reasons == ["NO_BIRTH"] * 2, "a device that did not answer holds nothing up"
    node.say("DBIRTH", node.payloads.device_birth(), "P-999")
    node.block(5, "P-999")
    assert node.batches[-1] == (1, 5)


def test_a_foreign_device_without_numbers_is_read(node: Node) -> None:
    birth = Payload(timestamp=1, metrics=[Metric(name="bdSeq", long_value=0)])
    node.say("NBIRTH", birth.SerializeToString())
    node.say("DBIRTH", node.payloads.device_birth(), "P-101")
    (frame,) = node.block(None)
    assert (frame.boot_epoch, frame.batch) == (0, 0)
    assert node.acquisition.marks() == []


def test_a_node_that_announced_numbers_must_give_them(node: Node) -> None:
    node.births()
    node.block(None)
    node.restart()
    node.block(None)
    assert node.reasons == ["WRONG_TYPE"] * 2


def test_numbers_may_come_by_alias(node: Node) -> None:
    birth = Payload.FromString(node.payloads.node_birth())
    birth.metrics.add(name="Headrace/Boot Epoch", alias=500, datatype=8, long_value=1)
    birth.metrics.add(name="Headrace/Batch", alias=501, datatype=8, is_null=True)
    node.say("NBIRTH", birth.SerializeToString())
    node.say("DBIRTH", node.payloads.device_birth(), "P-101")
    numbers = [Metric(alias=500, long_value=1), Metric(alias=501, long_value=1)]
    node.block(None, metrics=numbers)
    node.restart()
    node.block(None, metrics=numbers)
    assert node.batches == [(1, 1)]
    assert node.acquisition.counts["duplicated"] == 1


def test_a_simulation_that_starts_again_may_start_earlier(node: Node) -> None:
    node.births(1, clock="simulated")
    node.block(1, start_ms=5_000_000)
    node.block(2, start_ms=4_000_000)
    node.births(2, clock="simulated")
    node.block(1, boot_epoch=2, start_ms=1_000)
    assert node.batches == [(1, 1), (1, 2), (2, 1)]
    assert [f.late for f in node.frames] == [False, True, False]
    assert node.acquisition.counts["clock_steps"] == 0


def test_absurd_numbers_corrupt_nothing(node: Node) -> None:
    node.births()
    node.block(1)
    node.block(2**62)
    node.block(1, boot_epoch=2**62)
    node.block(2, start_ms=START_MS + 2)
    assert node.batches == [(1, 1), (1, 2)]
    assert node.reasons == ["WRONG_TYPE"]
    assert node.wait(60) != []
    assert node.reasons == ["WRONG_TYPE", "NO_BIRTH"]
    assert node.acquisition.counts["lost"] == 0


@pytest.mark.parametrize(
    "subject_",
    [
        "spBv1//0.a.DDATA.b//c",
        "tele.0.a.DDATA.b.c d",
        "spBv1//0.a.NCONFUSED.b",
        "tele.0.a.NBIRTH.b.c",
        "tele.1.a.DDATA.b.c.d",
    ],
)
def test_an_unknown_topic_is_set_aside(subject_: str) -> None:
    (aside,) = Acquisition().update(Message(subject_, b"?", 1, START_MS), NOW)
    assert isinstance(aside, SetAside)
    assert aside.reason in ("UNKNOWN_TOPIC", "UNDECODABLE")
    assert aside.letter.topic.startswith("spBv1.0/a/")


@given(st.binary(max_size=200), st.sampled_from(["NBIRTH", "NDATA", "NDEATH", "NCMD"]))
def test_no_bytes_raise_as_a_nodes_message(payload: bytes, kind: str) -> None:
    acquisition = Acquisition()
    acquisition.update(Message(f"spBv1//0.s.{kind}.n", payload, 1, START_MS), NOW)
    assert acquisition.counts["received"] == 1


@settings(max_examples=50)
@given(st.data())
def test_no_mutation_of_a_message_raises(payloads: Any, data: st.DataObject) -> None:
    acquisition = Acquisition()
    messages = [
        ("spBv1//0.s.NBIRTH.n", payloads.node_birth()),
        ("tele.0.s.DBIRTH.n.e", payloads.device_birth()),
        *(("tele.0.s.DDATA.n.e", payloads.block(i)) for i in range(1, 4)),
    ]
    for sequence, (subject_, payload) in enumerate(messages, 1):
        spoilt = bytearray(payload)
        for _ in range(data.draw(st.integers(0, 3))):
            spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
        acquisition.update(Message(subject_, bytes(spoilt), sequence, START_MS), NOW)
        acquisition.tick(NOW + 100)
        acquisition.marks()
        Acquisition.restore(acquisition.state(), NOW)
    assert acquisition.counts["received"] == 5


@settings(max_examples=40)
@given(st.lists(st.integers(1, 12), max_size=30), st.sets(st.integers(0, 29)))
def test_a_restart_anywhere_changes_nothing(
    payloads: Any, arrivals: list[int], restarts: set[int]
) -> None:
    """The same messages give the same frames, marks and counts however often it was recovered."""

    def run(restarting: set[int]) -> tuple[Any, ...]:
        node = Node(payloads)
        node.births()
        for i, batch in enumerate(arrivals):
            if i in restarting:
                node.restart()
            node.block(batch, start_ms=START_MS + batch, sent_ms=START_MS)
        marks = {m.boot_epoch: m.batch for m in Acquisition.restore(
            node.acquisition.state(), NOW).marks()}  # fmt: skip
        return node.batches, marks, node.acquisition.counts

    assert run(restarts) == run(set())


def test_newer_state_is_refused() -> None:
    state = Acquisition().state() | {"schema": subject.SCHEMA.version + 1}
    with pytest.raises(ValueError, match="run the version that wrote it"):
        Acquisition.restore(state, NOW)


def lost(node: Node, *ranges: int, boot_epoch: int = 1) -> list[Any]:
    payload = Payload(timestamp=START_MS)
    payload.metrics.add(
        name="Headrace/Lost", datatype=29, bytes_value=np.array(ranges, "<u8").tobytes()
    )
    node.payloads.number(payload, boot_epoch, ranges[0])
    return node.say("NDATA", payload.SerializeToString())


def test_what_the_node_dropped_is_counted_and_not_waited_for(node: Node) -> None:
    node.births()
    node.block(1)
    node.block(6, start_ms=START_MS + 6)
    node.restart()
    found = lost(node, 2, 3, 5, 5, 7, 9)
    node.restart()
    found += node.block(4, start_ms=START_MS + 4)
    assert [f.batch for f in found] == [4, 6]
    assert node.acquisition.marks()[-1].batch == 9
    assert node.wait(100) == []
    counts = node.acquisition.counts
    assert (counts["lost"], counts["processed"], counts["resends"]) == (6, 3, 0)


def test_a_loss_that_was_heard_before_is_acknowledged_again(node: Node) -> None:
    node.births()
    lost(node, 1, 4)
    assert node.acquisition.marks() == [Mark("riverside", "gateway-1", 1, 4)]
    lost(node, 1, 4)
    assert node.acquisition.marks() == [Mark("riverside", "gateway-1", 1, 4)]
    assert node.acquisition.counts["lost"] == 4


def test_an_earlier_boot_may_begin_with_a_loss(node: Node) -> None:
    node.births(5)
    lost(node, 7, 11, boot_epoch=4)
    node.block(12, boot_epoch=4, historical=True)
    assert node.batches == [(4, 12)]
    assert node.acquisition.counts["lost"] == 5


@pytest.mark.parametrize(
    "ranges", [(1, 2**40), (5, 4), (3, 4, 2**62, 2**62 + 1)], ids=["long", "backwards", "far"]
)
def test_an_absurd_loss_corrupts_nothing(node: Node, ranges: tuple[int, ...]) -> None:
    node.births()
    lost(node, *ranges)
    assert node.reasons == ["WRONG_TYPE"]
    node.block(1)
    assert node.batches == [(1, 1)]


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_the_state_of_a_version_before_is_read(node: Node, schema: int) -> None:
    node.births()
    node.block(1)
    node.block(3, start_ms=START_MS + 3)
    state = node.acquisition.state()
    state["schema"] = schema
    state["sequences"] = {epoch: s[: schema + 2] for epoch, s in state["sequences"].items()}
    del state["devices"], state["replays"]
    if schema == 1:
        del state["order"], state["births"]["away"]
    state["last_times"] = {"P-101": (1, START_MS)}
    node.acquisition = Acquisition.restore(state, NOW)
    node.block(2, start_ms=START_MS + 2)
    node.block(4, start_ms=START_MS - 1)
    assert node.batches == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert [f.late for f in node.frames] == [False, False, False, True]


def born_after(node: Node, *earlier: int, boot_epoch: int = 5) -> list[Any]:
    birth = Payload.FromString(node.payloads.node_birth(boot_epoch))
    birth.metrics.add(name="Headrace/Earlier Boots", bytes_value=np.array(earlier, "<u8").tobytes())
    found = node.say("NBIRTH", birth.SerializeToString())
    return found + node.say("DBIRTH", node.payloads.device_birth("simulated"), "P-101")


def test_what_an_earlier_boot_still_has_is_waited_for_and_asked_for(node: Node) -> None:
    born_after(node, 4, 7, 9)
    node.block(8, boot_epoch=4, start_ms=START_MS + 8)
    node.block(1, boot_epoch=5, start_ms=START_MS + 10)
    node.restart()
    node.block(2, boot_epoch=5, start_ms=START_MS + 11)
    assert node.batches == []
    assert node.acquisition.marks() == [Mark("riverside", "gateway-1", 4, 6)]
    requests = node.wait(3)
    assert requests == [Resend("riverside", "gateway-1", 4, first, first) for first in (7, 9)]
    node.block(9, boot_epoch=4, start_ms=START_MS + 9, historical=True)
    node.block(7, boot_epoch=4, start_ms=START_MS + 7, historical=True)
    assert node.batches == [(4, 7), (4, 8), (4, 9), (5, 1), (5, 2)]
    assert node.acquisition.counts["lost"] == 0


def test_an_earlier_boot_that_says_nothing_is_given_up_and_the_next_goes_on(node: Node) -> None:
    born_after(node, 3, 1, 2, 4, 1, 1)
    node.block(1, boot_epoch=5)
    lost(node, 1, 1, boot_epoch=4)
    assert node.batches == []
    node.wait(800)
    assert node.batches == [(5, 1)]
    assert node.acquisition.counts["lost"] == 3


def test_a_birth_that_tells_of_no_earlier_boot_ends_the_waiting(node: Node) -> None:
    born_after(node, 4, 1, 2)
    node.block(1, boot_epoch=5)
    assert node.batches == []
    born_after(node)
    assert node.batches == [(5, 1)]


@pytest.mark.parametrize(
    "earlier",
    [(4, 1), (5, 1, 2), (0, 1, 2), (4, 0, 2), (4, 3, 2), (4, 1, 2**63), (4, 1, 2) * 129],
    ids=["torn", "own", "none", "zero", "backwards", "long", "many"],
)
def test_absurd_earlier_boots_are_set_aside(node: Node, earlier: tuple[int, ...]) -> None:
    born_after(node, *earlier)
    assert node.reasons == ["WRONG_TYPE"]
    node.births(5)
    node.block(1, boot_epoch=5)
    assert node.batches == [(5, 1)]


def test_boots_without_number_are_forgotten_but_the_one_that_speaks(node: Node) -> None:
    boots = REMEMBERED_EPOCHS + 9
    born_after(node, 5, 1, 2, boot_epoch=2 * boots)
    for epoch in range(6, 6 + boots):
        node.block(1, boot_epoch=epoch, start_ms=START_MS + epoch)
    assert len(node.acquisition.batches.sequences) == REMEMBERED_EPOCHS
    # Its waiting ended with what was forgotten.
    node.wait(3)
    assert (5 + boots, 1) in node.batches
    node.block(1, boot_epoch=4, start_ms=START_MS)
    assert node.batches[-1] == (4, 1)


def captured(node: Node, batch: int, start_ms: int, capture: str = "5 loud") -> list[Any]:
    metrics = [Metric(name="Edge/Capture", string_value=capture)] if capture else []
    return node.block(batch, start_ms=start_ms, metrics=metrics)


def with_capture(birth: bytes) -> bytes:
    payload = Payload.FromString(birth)
    payload.metrics.add(name="Edge/Capture", datatype=12, is_null=True)
    return payload.SerializeToString()


def test_captured_blocks_may_come_late_and_turn_no_clock_back(node: Node) -> None:
    node.say("NBIRTH", node.payloads.node_birth())
    node.say("DBIRTH", with_capture(node.payloads.device_birth()), "P-101")

    (first,) = captured(node, 1, START_MS - 3000, capture="")
    (early,) = captured(node, 2, START_MS - 9000)
    (timely,) = captured(node, 3, START_MS - 2000)
    (behind,) = captured(node, 4, START_MS - 2500, capture="")
    (same,) = captured(node, 5, START_MS - 2000)

    assert [(f.capture, f.late) for f in (first, early, timely, behind, same)] == [
        ("", False),
        ("5 loud", True),
        ("5 loud", False),
        ("", True),
        ("5 loud", False),
    ]
    assert early.start_time_ms == START_MS - 9000


def test_samples_that_begin_later_say_so(node: Node) -> None:
    node.births()
    later = Metric(alias=3, timestamp=START_MS - 400, bytes_value=np.array([21.5], "<f8").tobytes())

    (frame,) = node.block(1, start_ms=START_MS - 1000, metrics=[later])

    assert frame.start_time_ms == START_MS - 1000
    assert frame.offsets_ms == {"Temperature": 600}


def test_a_score_without_samples_has_its_own_time(node: Node) -> None:
    node.births()
    payload = Payload(timestamp=START_MS)
    payload.metrics.add(alias=2, timestamp=START_MS - 5000, float_value=0.5)
    node.payloads.number(payload, 1, 1)

    (frame,) = node.say("DDATA", payload.SerializeToString(), "P-101")

    assert (frame.start_time_ms, frame.edge_score, dict(frame.samples)) == (
        START_MS - 5000,
        0.5,
        {},
    )
