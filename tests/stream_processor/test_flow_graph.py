from __future__ import annotations

from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.testing import TestingSink, TestingSource

from stream_processor.flow_graph import Step, StepKind, steps_of


class Nothing(StatefulBatchLogic[Any, Any, None]):
    def on_batch(self, values: list[Any]) -> tuple[list[Any], bool]:
        return values, False

    def snapshot(self) -> None: ...


def test_steps_that_work_are_told_and_what_lies_between_is_passed_through() -> None:
    flow = Dataflow("f")
    read = op.input("read", flow, TestingSource([1]))
    odd = op.branch("odd", read, lambda n: n % 2 == 1)
    keyed = op.key_on("keyed", op.map("more", odd.trues, lambda n: n + 1), str)
    counted = op.stateful_batch("counted", keyed, lambda _: Nothing())
    even = op.key_on("also_keyed", odd.falses, str)
    both = op.merge("both", op.filter_value("big", counted, bool), even)
    op.output("kept", both, TestingSink([]))
    op.output("shown", counted, TestingSink([]))
    assert steps_of(flow) == [
        Step("read", StepKind.SOURCE, ("counted", "kept")),
        Step("counted", StepKind.STAGE, ("kept", "shown")),
        Step("kept", StepKind.SINK, ()),
        Step("shown", StepKind.SINK, ()),
    ]


def test_a_step_that_feeds_another_in_two_ways_does_so_once() -> None:
    flow = Dataflow("f")
    read = op.input("read", flow, TestingSource([1]))
    parts = op.branch("parts", read, bool)
    op.output("kept", op.merge("again", parts.trues, parts.falses), TestingSink([]))
    assert [step.feeds for step in steps_of(flow)] == [("kept",), ()]
