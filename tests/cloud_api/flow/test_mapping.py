from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cloud_api.flow.board import SILENT_S, StatusBoard
from cloud_api.flow.mapping import check, flow_message
from cloud_api.v1 import flow_pb2 as pb


def test_a_flow_is_summed_over_its_processes(board: StatusBoard, clock: Any, say: Any) -> None:
    for second in range(3):
        for process in (0, 1):
            board.take(
                say(
                    f"p{process}",
                    100.0 + second,
                    process=process,
                    processes=2,
                    of=process,
                    items=10 * second,
                    seconds=0.3 * second * process,
                    letters=second,
                    lag=5 * process,
                )
            )
        clock.seconds += 1
    flow = flow_message(board, None)
    assert flow.time.ToSeconds() == int(clock.now().timestamp())
    assert (flow.running_count, flow.expected_count) == (2, 2)
    assert (flow.held_partition_count, flow.partition_count) == (2, 2)
    assert (flow.lag_messages, flow.lag_seconds, flow.messages_per_second) == (5, 0.5, 20.0)
    source, sink = flow.steps
    assert (source.name, source.kind, list(source.feeds)) == (
        "telemetry",
        pb.FLOW_NODE_KIND_SOURCE,
        ["to_historian"],
    )
    assert (source.items, source.dead_letters, source.recent_dead_letters) == (40, 4, 4)
    assert source.busy_share == pytest.approx(0.3), "of the busiest partition"
    assert (sink.kind, sink.items_per_second) == (pb.FLOW_NODE_KIND_SINK, 10.0)
    first, second_one = flow.processors
    assert (first.name, first.state, first.process) == (
        "processors/p0",
        pb.PROCESSOR_STATE_RUNNING,
        0,
    )
    (partition,) = second_one.partitions
    assert partition.busy_share == pytest.approx(0.45)
    assert (partition.last_device, partition.state_bytes) == ("north/P-101", 4096)


def test_nobody_is_no_flow(board: StatusBoard) -> None:
    flow = flow_message(board, None)
    assert (list(flow.steps), list(flow.processors), flow.expected_count) == ([], [], 0)
    assert not flow.HasField("messages_per_second")


def test_who_is_silent_is_shown_and_counts_for_nothing(
    board: StatusBoard, clock: Any, say: Any
) -> None:
    board.take(say("a", processes=2, items=5))
    board.take(say("b", process=1, processes=2, of=1))
    clock.seconds += SILENT_S
    board.take(say("b", 105.0, process=1, processes=2, of=1, items=50))
    flow = flow_message(board, None)
    assert [p.state for p in flow.processors] == [
        pb.PROCESSOR_STATE_SILENT,
        pb.PROCESSOR_STATE_RUNNING,
    ]
    assert flow.processors[0].last_heard_time.ToDatetime() == clock.now().replace(
        tzinfo=None
    ) - timedelta(seconds=SILENT_S)
    assert (flow.running_count, flow.expected_count, flow.held_partition_count) == (1, 2, 1)
    assert (flow.steps[0].items, flow.messages_per_second) == (50, 10.0)
    clock.seconds += SILENT_S
    flow = flow_message(board, None)
    assert [step.name for step in flow.steps] == ["telemetry", "to_historian"]
    assert (flow.running_count, flow.steps[0].HasField("items_per_second")) == (0, False)


def test_a_spare_with_the_same_number_is_one_process_that_runs(
    board: StatusBoard, say: Any
) -> None:
    board.take(say("a"))
    board.take(say("spare", held=False))
    flow = flow_message(board, None)
    assert sorted(p.state for p in flow.processors) == [
        pb.PROCESSOR_STATE_RUNNING,
        pb.PROCESSOR_STATE_STANDING_BY,
    ]
    assert (flow.running_count, flow.expected_count) == (1, 1)


def test_a_device_is_named_to_who_may_see_its_site(board: StatusBoard, say: Any) -> None:
    board.take(say())

    def named(sites: frozenset[str] | None) -> str:
        return flow_message(board, sites).processors[0].partitions[0].last_device

    assert named(None) == named(frozenset({"north"})) == "north/P-101"
    assert named(frozenset({"south"})) == ""


def test_steps_of_an_older_version_are_shown_beside_the_newest_ones(
    board: StatusBoard, clock: Any, say: Any
) -> None:
    old = say("old", items=7)
    old.flow[1].name = old.partitions[0].steps[1].name = "to_elsewhere"
    board.take(old)
    board.take(say("new", of=1, started=clock.now()))
    assert [s.name for s in flow_message(board, None).steps] == [
        "telemetry",
        "to_historian",
        "to_elsewhere",
    ]


@pytest.mark.parametrize(
    "said",
    [{"of": 2**32 - 1}, {"partition_count": 2**31}, {"lag": 2**63}, {"uptime_s": float("nan")}],
)
def test_what_cannot_be_shown_is_refused(say: Any, said: dict[str, Any]) -> None:
    check(say())
    with pytest.raises(ValueError):  # noqa: PT011 - protobuf's own words
        check(say(**said))
