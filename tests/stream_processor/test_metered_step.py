from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bytewax.inputs import StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import StatefulSinkPartition

from stream_processor.messages import SetAside
from stream_processor.metered_step import MeteredLogic, MeteredSink, MeteredSource
from stream_processor.meters import StepMeter
from stream_processor.v1 import dead_letter_pb2 as dl


def aside(reason: dl.DeadLetterReason.ValueType) -> SetAside:
    return SetAside("riverside", "gateway-1", dl.DeadLetter(reason=reason))


class Judge(StatefulBatchLogic[Any, Any, str]):
    """Give everything twice; what is due is a dead letter."""

    def on_batch(self, values: list[Any]) -> tuple[Iterator[Any], bool]:
        return iter(2 * values), True

    def on_notify(self) -> tuple[list[Any], bool]:
        return [aside(dl.DEAD_LETTER_REASON_NO_BIRTH)], False

    def snapshot(self) -> str:
        return "state"


def test_a_step_counts_what_it_took_and_its_dead_letters_but_no_receipts() -> None:
    meter = StepMeter()
    logic = MeteredLogic(Judge(), meter)
    items = [1, aside(dl.DEAD_LETTER_REASON_UNDECODABLE), aside(dl.DEAD_LETTER_REASON_REPLAYED)]
    assert logic.on_batch(items) == (2 * items, True)
    assert (meter.items, meter.dead_letters) == (3, 2)
    worked = meter.seconds
    assert worked > 0
    made, discard = logic.on_notify()
    assert (len(list(made)), discard) == (1, False)
    assert (meter.items, meter.dead_letters) == (3, 3)
    assert meter.seconds > worked
    assert logic.snapshot() == "state"


class Two(StatefulSourcePartition[int, int]):
    """Two numbers, then the end."""

    def __init__(self) -> None:
        self.given = 0

    def next_batch(self) -> list[int]:
        if self.given:
            raise StopIteration
        self.given = 2
        return [1, 2]

    def snapshot(self) -> int:
        return self.given


def test_a_source_counts_what_it_gave_and_ends_as_it_would() -> None:
    meter = StepMeter()
    source = MeteredSource(Two(), meter)
    assert list(source.next_batch()) == [1, 2]
    assert (meter.items, source.snapshot(), source.next_awake()) == (2, 2, None)
    with pytest.raises(StopIteration):
        source.next_batch()


class Kept(StatefulSinkPartition[int, int]):
    """Numbers, kept."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def write_batch(self, values: list[int]) -> None:
        self.numbers += values

    def snapshot(self) -> int:
        return len(self.numbers)


def test_a_sink_counts_what_it_wrote_and_the_time_of_confirmation() -> None:
    meter, kept = StepMeter(), Kept()
    sink = MeteredSink(kept, meter)
    sink.write_batch([1, 2, 3])
    assert (kept.numbers, meter.items) == ([1, 2, 3], 3)
    worked = meter.seconds
    assert sink.snapshot() == 3
    assert (meter.items, meter.seconds > worked) == (3, True)
