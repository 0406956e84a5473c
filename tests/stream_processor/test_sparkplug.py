from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload
from stream_processor import sparkplug
from stream_processor.sparkplug import BadInputError, read_birth, read_block


def birth_with(*metrics: Metric) -> bytes:
    return Payload(timestamp=1, metrics=metrics).SerializeToString()


@given(st.lists(st.floats(width=32), max_size=50))
def test_samples_come_out_as_they_went_in_but_for_infinities(samples: list[float]) -> None:
    birth = read_birth(
        "s",
        "n",
        "e",
        birth_with(Metric(name="X", alias=1, datatype=DataType.DATA_TYPE_FLOAT_ARRAY)),
    )
    data = np.array(samples, dtype="<f4")
    block = read_block(
        birth,
        Payload(timestamp=9, metrics=[Metric(alias=1, timestamp=7, bytes_value=data.tobytes())]),
        {},
    )
    expected = np.where(np.isinf(data), np.nan, data.astype(np.float64))
    np.testing.assert_array_equal(block.samples["X"], expected)
    assert block.infinite == np.isinf(data).sum()
    assert block.missing == np.isnan(expected).sum()
    assert block.start_time_ms == 7


@given(st.sampled_from([(1, 8), (2, 16), (3, 32), (4, 64)]), st.data())
def test_signed_integers_are_read_from_twos_complement(
    kind: tuple[int, int], data: st.DataObject
) -> None:
    datatype, bits = kind
    value = data.draw(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    metric = Metric(name="Equipment/Number", datatype=datatype)
    if bits == 64:
        metric.long_value = value % 2**64
    else:
        metric.int_value = value % 2**32
    assert read_birth("s", "n", "e", birth_with(metric)).info.facts == {"Number": value}


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (Metric(name="", alias=1), "no name"),
        (
            Metric(name="Equipment/Clock", datatype=12, string_value="cuckoo"),
            "live, simulated, recording",
        ),
        (Metric(name="Equipment/Nominal Speed", datatype=10, float_value=1.0), "float_value"),
    ],
)
def test_a_birth_that_says_nonsense_is_refused(metric: Metric, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        read_birth("s", "n", "e", birth_with(metric))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sample_rate_is_above_zero(rate: float) -> None:
    metric = Metric(name="X", datatype=DataType.DATA_TYPE_FLOAT_ARRAY)
    metric.properties.keys.append("sampleRate")
    metric.properties.values.add(type=10, double_value=rate)
    with pytest.raises(BadInputError, match="sampleRate of X"):
        read_birth("s", "n", "e", birth_with(metric))


def test_the_edge_score_is_no_channel_and_null_metrics_are_no_samples(payloads: Any) -> None:
    birth = read_birth("s", "n", "e", payloads.device_birth())
    block = read_block(
        birth,
        Payload(
            timestamp=5,
            metrics=[
                Metric(alias=2, float_value=0.5),
                Metric(alias=3, is_null=True),
            ],
        ),
        {},
    )
    assert (block.edge_score, block.samples, block.start_time_ms) == (0.5, {}, 5)


def test_a_block_begins_with_its_batch_although_its_channels_may_begin_later(
    payloads: Any,
) -> None:
    birth = read_birth("s", "n", "e", payloads.device_birth())
    sample = np.array([1.0], "<f4").tobytes()
    metrics = [
        Metric(name="Headrace/Batch", timestamp=1000, long_value=1),
        Metric(alias=1, timestamp=2000, bytes_value=sample),
    ]

    block = read_block(birth, Payload(timestamp=9000, metrics=metrics), {})

    assert (block.start_time_ms, block.offsets_ms) == (1000, {"Vibration": 1000})


def test_a_scalar_of_a_foreign_device_is_one_sample() -> None:
    birth = read_birth("s", "n", "e", birth_with(Metric(name="Level", alias=4, datatype=10)))
    block = read_block(birth, Payload(metrics=[Metric(alias=4, timestamp=2, double_value=3.5)]), {})
    assert block.samples["Level"].tolist() == [3.5]


@pytest.mark.parametrize(
    "metrics",
    [
        [Metric(name="Headrace/Batch", long_value=3)],
        [Metric(name="Headrace/Batch", string_value="3")],
        [
            Metric(name="Headrace/Boot Epoch", long_value=1),
            Metric(name="Headrace/Batch", long_value=0),
        ],
    ],
)
def test_a_batch_has_whole_numbers_and_a_boot_epoch(metrics: list[Metric]) -> None:
    with pytest.raises(BadInputError, match="Headrace/Batch"):
        sparkplug.numbers(Payload(metrics=metrics), {})


def test_commands_are_as_the_contract_says() -> None:
    (resend,) = Payload.FromString(sparkplug.resend_command(8, 1, 2, 3)).metrics
    assert resend.name == "Node Control/Resend"
    assert resend.datatype == DataType.DATA_TYPE_UINT64_ARRAY
    assert struct.unpack("<3Q", resend.bytes_value) == (1, 2, 3)
    (rebirth,) = Payload.FromString(sparkplug.rebirth_command(8)).metrics
    assert (rebirth.name, rebirth.boolean_value) == ("Node Control/Rebirth", True)
