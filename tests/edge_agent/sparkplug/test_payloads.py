"""Payloads beyond what a running node shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sparkplug.commands import Command, read_command
from edge_agent.sparkplug.payloads import PayloadError, historical, with_sequence
from edge_agent.sparkplug.topics import TopicNameError, check_name, topic
from edge_agent.v1.sparkplug_b_pb2 import Metric, Payload


def resend(content: bytes) -> bytes:
    return Payload(
        metrics=[Metric(name="Node Control/Resend", bytes_value=content)]
    ).SerializeToString()


@given(st.tuples(*[st.integers(0, 2**64 - 1)] * 3))
def test_a_resend_is_read(numbers: tuple[int, int, int]) -> None:
    given = resend(np.array(numbers, "<u8").tobytes())

    assert read_command(given) == Command(False, numbers)


@given(st.binary(max_size=40).filter(lambda b: len(b) != 24))
def test_anything_but_three_numbers_is_refused(content: bytes) -> None:
    with pytest.raises(PayloadError, match="Node Control/Resend"):
        read_command(resend(content))


def command_or_refusal(content: bytes) -> Command | str:
    try:
        return read_command(content)
    except PayloadError as error:
        return str(error)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_command_or_an_error(content: bytes) -> None:
    said = command_or_refusal(content)

    assert isinstance(said, Command) or said


@given(st.integers(0, 255), st.integers(1, 5))
def test_a_sequence_and_history_change_nothing_else(sequence: int, metrics: int) -> None:
    before = Payload(timestamp=7, metrics=[Metric(alias=n) for n in range(metrics)])

    after = Payload.FromString(with_sequence(historical(before.SerializeToString()), sequence))

    assert after.seq == sequence
    assert after.HasField("seq")
    assert all(m.is_historical for m in after.metrics)
    for metric in after.metrics:
        metric.ClearField("is_historical")
    after.ClearField("seq")
    assert after == before


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a+", "#", "a.b", "*", ">", "a\n"])
def test_a_name_that_no_topic_holds(name: str) -> None:
    with pytest.raises(TopicNameError, match="site: "):
        check_name("site", name)


def test_topics() -> None:
    assert topic("s", "NDATA", "n") == "spBv1.0/s/NDATA/n"
    assert topic("s", "DDATA", "n", "P-101") == "spBv1.0/s/DDATA/n/P-101"
