"""Who is heard of, for how long, and what is counted of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cloud_api.flow.board import FORGET_S, SILENT_S, StatusBoard


def names(board: StatusBoard) -> list[tuple[str, bool]]:
    return [(heard.status.id, heard.silent) for heard in board.heard()]


def test_who_says_nothing_is_silent_first_and_forgotten_later(
    board: StatusBoard, clock: Any, say: Any
) -> None:
    board.take(say("a"))
    clock.seconds += SILENT_S - 0.5
    board.take(say("b", process=1))
    assert names(board) == [("a", False), ("b", False)]
    clock.seconds += 1
    assert names(board) == [("a", True), ("b", False)]
    assert board.heard()[0].time == clock.now() - timedelta(seconds=SILENT_S + 0.5)
    board.take(say("a", 110.0))
    assert names(board) == [("a", False), ("b", False)]
    clock.seconds += FORGET_S
    assert names(board) == []


def test_who_ends_in_good_order_is_forgotten_at_once(board: StatusBoard, say: Any) -> None:
    board.take(say("a"))
    board.take(say("a", 101.0, ending=True))
    assert names(board) == []


def test_who_fell_silent_goes_when_another_takes_the_place(
    board: StatusBoard, clock: Any, say: Any
) -> None:
    board.take(say("killed"))
    spare = clock.now() - timedelta(seconds=50)
    board.take(say("spare", started=spare, held=False))
    clock.seconds += SILENT_S
    board.take(say("spare", 105.0, started=spare))
    assert names(board) == [("spare", False), ("killed", True)], "it stood by all the time"
    board.take(say("new", 1.0, started=clock.now()))
    assert names(board) == [("new", False), ("spare", False)]


def test_what_was_said_earlier_is_kept_for_half_a_minute_in_order(
    board: StatusBoard, clock: Any, say: Any
) -> None:
    for uptime in (100.0, 101.0, 101.0, 100.5, 120.0, 130.5):
        clock.seconds += 1
        board.take(say(uptime_s=uptime))
    (heard,) = board.heard()
    assert [s.uptime_seconds for s in heard.earlier] == [101.0, 120.0, 130.5]
    assert heard.status == heard.earlier[-1]


def test_a_process_that_started_again_begins_anew(board: StatusBoard, clock: Any, say: Any) -> None:
    board.take(say(items=5000))
    board.take(say(uptime_s=2.0, items=10, started=clock.now()))
    (heard,) = board.heard()
    assert len(heard.earlier) == 1


def test_items_are_spread_over_the_time_in_which_they_were_taken(
    board: StatusBoard, clock: Any, say: Any
) -> None:
    clock.seconds = 1002.0
    for i in range(14):
        board.take(say(uptime_s=100.0 + 2 * i, items=80 * i))
        clock.seconds += 2.0
    # 1000 to 1005 was not heard of whole, and of 1025 to 1030 the last word is to come.
    assert list(board.rates("telemetry")) == [40.0] * 4
    assert list(board.rates("to_historian")) == [20.0] * 4
    assert list(board.rates("nothing")) == [0.0] * 4


def test_dead_letters_of_five_minutes_are_counted(board: StatusBoard, clock: Any, say: Any) -> None:
    board.take(say(letters=7))
    assert board.dead_letters("telemetry") == 0, "when they were made is not known"
    clock.seconds += 1
    board.take(say(uptime_s=101.0, letters=9))
    board.take(say("young", 2.0, letters=3))
    assert board.dead_letters("telemetry") == 5
    clock.seconds += 310
    board.take(say(uptime_s=411.0, letters=9))
    assert board.dead_letters("telemetry") == 0


def test_nothing_is_left_of_a_flow_that_was_forgotten(
    board: StatusBoard, clock: Any, say: Any
) -> None:
    for second in range(12):
        board.take(say(uptime_s=100.0 + second, items=second))
        clock.seconds += 1
    assert board.rates("telemetry")
    clock.seconds += FORGET_S
    assert board.heard() == []
    assert list(board.rates("telemetry")) == []
