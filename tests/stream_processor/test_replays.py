"""What was a dead letter comes in by a door of its own: once, and outside of the order."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.acquisition import Acquisition
from stream_processor.frames import Frame
from stream_processor.messages import Mark, Message, Replay, SetAside
from stream_processor.replays import REMEMBERED, Replays, replay_of

NOW = 1_800_000_000.0
NOW_MS = int(NOW * 1000)


class Node:
    """An acquisition with a log in front of it."""

    def __init__(self, payloads: Any, clock: str = "live") -> None:
        self.payloads = payloads
        self.acquisition = Acquisition()
        self.sequence = 0
        self.say("NBIRTH", payloads.node_birth(1, 1))
        self.say("DBIRTH", payloads.device_birth(clock), "P-101")

    def say(
        self, kind: str, payload: bytes, equipment: str = "", replay: Replay | None = None
    ) -> list[Any]:
        self.sequence += 1
        subject = (
            f"tele.0.riverside.{kind}.gateway-1.{equipment}"
            if equipment
            else f"spBv1//0.riverside.{kind}.gateway-1"
        )
        message = Message(subject, payload, self.sequence, NOW_MS, replay=replay)
        return self.acquisition.update(message, NOW)

    def block(self, batch: int, start_ms: int, sent_ms: int = NOW_MS, **what: Any) -> bytes:
        found: bytes = self.payloads.block(batch, start_ms=start_ms, sent_ms=sent_ms, **what)
        return found

    def restart(self) -> None:
        state = pickle.loads(pickle.dumps(self.acquisition.state()))
        self.acquisition = Acquisition.restore(state, NOW)


@pytest.fixture
def node(payloads: Any) -> Node:
    """A node that said four batches, of which the second was set aside."""
    made = Node(payloads)
    made.say("DDATA", made.block(1, NOW_MS - 4000), "P-101")
    made.say("DDATA", made.block(2, NOW_MS + 86_400_000), "P-101")
    made.say("DDATA", made.block(3, NOW_MS - 2000), "P-101")
    made.say("DDATA", made.block(4, NOW_MS - 1000), "P-101")
    assert made.acquisition.counts["dead_letters.TIME_IN_FUTURE"] == 1
    assert made.acquisition.marks()[-1] == Mark("riverside", "gateway-1", 1, 4)
    return made


def replay(id: str = "rpl-1") -> Replay:
    return Replay(id, "telemetry-4")


def test_what_is_older_than_the_newest_is_late_and_told(node: Node) -> None:
    frame, receipt = node.say("DDATA", node.block(2, NOW_MS - 3000), "P-101", replay())
    assert isinstance(frame, Frame)
    assert (frame.late, frame.start_time_ms) == (True, NOW_MS - 3000)
    assert isinstance(receipt, SetAside)
    assert receipt.reason == "REPLAYED"
    assert receipt.letter.dead_letter_id == "rpl-1"
    assert receipt.letter.replay_of == "telemetry-4"
    assert receipt.letter.detail == "taken late: for the historian alone"
    assert not receipt.letter.payload
    counts = node.acquisition.counts
    assert (counts["replayed"], counts["duplicated"], counts["late_frames"]) == (1, 0, 1)
    assert sum(n for name, n in counts.items() if name.startswith("dead_letters.")) == 1


def test_what_is_newer_goes_the_way_of_all(node: Node) -> None:
    frame, receipt = node.say("DDATA", node.block(2, NOW_MS - 500), "P-101", replay())
    assert not frame.late
    assert receipt.letter.detail == "taken"
    (following,) = node.say("DDATA", node.block(5, NOW_MS), "P-101")
    assert not following.late


def test_a_second_time_changes_nothing_over_a_restart_too(node: Node) -> None:
    data = node.block(2, NOW_MS - 3000)
    assert len(node.say("DDATA", data, "P-101", replay())) == 2
    assert node.say("DDATA", data, "P-101", replay()) == []
    node.restart()
    assert node.say("DDATA", data, "P-101", replay()) == []
    assert node.acquisition.counts["replays_repeated"] == 2
    assert len(node.say("DDATA", data, "P-101", replay("rpl-2"))) == 2


def test_the_order_of_batches_does_not_notice(node: Node) -> None:
    node.say("DDATA", node.block(2, NOW_MS - 3000), "P-101", replay())
    node.say("DDATA", node.block(900, NOW_MS - 800), "P-101", replay("rpl-2"))
    assert node.acquisition.marks() == []
    assert node.acquisition.due() is None
    (frame,) = node.say("DDATA", node.block(5, NOW_MS), "P-101")
    assert frame.batch == 5
    assert node.acquisition.marks() == [Mark("riverside", "gateway-1", 1, 5)]


def test_replays_of_the_past_are_no_step_of_the_clock(node: Node) -> None:
    for n in range(20):
        found = node.say(
            "DDATA", node.block(2, NOW_MS - 90_000 + 1000 * n), "P-101", replay(f"rpl-{n}")
        )
        assert found[0].late
    assert node.acquisition.counts["clock_steps"] == 0


def test_a_simulation_does_not_begin_anew_for_a_replay_of_another_boot(payloads: Any) -> None:
    node = Node(payloads, clock="simulated")
    node.say("DDATA", node.block(1, NOW_MS - 1000), "P-101")
    old = node.block(7, NOW_MS - 60_000, boot_epoch=0)
    assert node.say("DDATA", old, "P-101", replay())[0].late
    (frame,) = node.say("DDATA", node.block(2, NOW_MS), "P-101")
    assert not frame.late


def test_what_is_wrong_again_names_what_it_was(node: Node) -> None:
    (aside,) = node.say("DDATA", b"\xff\xff", "P-101", replay())
    assert (aside.reason, aside.letter.replay_of) == ("UNDECODABLE", "telemetry-4")
    (unborn,) = node.say("DDATA", node.block(2, NOW_MS), "F-201", replay("rpl-2"))
    assert unborn.reason == "NO_BIRTH"
    (death,) = node.say("DDEATH", node.payloads.health(1), "P-101", replay("rpl-3"))
    assert death.reason == "UNKNOWN_TOPIC"
    assert node.acquisition.births.stale_since_ms("P-101") is None


def test_a_birth_is_taken_when_it_is_news(node: Node, payloads: Any) -> None:
    known = node.acquisition.births.of("P-101", 1)
    assert known is not None
    (old,) = node.say("DBIRTH", known.payload, "P-101", replay())
    assert "newer birth holds" in old.letter.detail
    (other,) = node.say("DBIRTH", payloads.device_birth(), "F-201", replay("rpl-2"))
    assert other.reason == "REPLAYED"
    (node_birth,) = node.say("NBIRTH", payloads.node_birth(1, 1), "", replay("rpl-3"))
    assert "newer birth holds" in node_birth.letter.detail
    (later,) = node.say("NBIRTH", payloads.node_birth(2, 1), "", replay("rpl-4"))
    assert later.reason == "REPLAYED"


def test_what_a_node_says_of_itself_is_taken(node: Node) -> None:
    (receipt,) = node.say("NDATA", node.payloads.health(2), "", replay())
    assert receipt.reason == "REPLAYED"


@given(st.lists(st.integers(0, 3 * REMEMBERED), max_size=4 * REMEMBERED))
def test_memory_is_bounded_and_never_forgets_the_last(numbers: list[int]) -> None:
    replays, recent = Replays(), list[int]()
    for number in numbers:
        new = replays.add(Replay(str(number), ""))
        if new:
            assert number not in recent[-REMEMBERED:]
            recent.append(number)
        else:
            assert number in recent
    assert len(replays.state()) <= REMEMBERED
    assert Replays(replays.state()).state() == replays.state()


def test_the_headers_say_what_it_was() -> None:
    headers = {"Nats-Msg-Id": "rpl-1", "Headrace-Replay": "telemetry-9"}
    assert replay_of(headers) == Replay("rpl-1", "telemetry-9")
    assert replay_of({"Headrace-Replay": "telemetry-9"}) == Replay("telemetry-9", "telemetry-9")
    assert replay_of({"Nats-Msg-Id": "rpl-1"}) is None
    assert replay_of(None) is None
