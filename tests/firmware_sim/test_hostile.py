import numpy as np
import pytest
from google.protobuf.message import DecodeError

from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload
from firmware_sim import hostile
from firmware_sim.hostile import Victim

VICTIM = Victim("springfield", "gw-1", "P-101", "Flow", 3, 41, 1_790_000_000_500, 1_790_000_000_000)


def parsed(message: hostile.Message) -> Payload:
    return Payload.FromString(message[1])


def channel(payload: Payload) -> Metric:
    return payload.metrics[-1]


def number(message: hostile.Message) -> int:
    return next(m.long_value for m in parsed(message).metrics if m.name == "Headrace/Batch")


def test_a_good_batch_is_good() -> None:
    topic, _ = message = hostile.batch(VICTIM, [1.5, 2.5])
    assert topic == "spBv1.0/springfield/DDATA/gw-1/P-101"
    payload = parsed(message)
    assert [m.name for m in payload.metrics] == ["Headrace/Boot Epoch", "Headrace/Batch", "Flow"]
    assert [m.long_value for m in payload.metrics[:2]] == [3, 41]
    assert channel(payload).datatype == DataType.DATA_TYPE_FLOAT_ARRAY
    np.testing.assert_array_equal(np.frombuffer(channel(payload).bytes_value, "<f4"), [1.5, 2.5])
    assert payload.timestamp - channel(payload).timestamp == 500


def test_aliases_stand_for_names() -> None:
    victim = Victim("s", "n", "E", "Flow", 1, 1, 2, 1, 0, 7, 8, 9)
    metrics = parsed(hostile.batch(victim)).metrics
    assert [m.alias for m in metrics] == [8, 9, 7]
    assert not any(m.name for m in metrics)


@pytest.mark.parametrize("kind", [hostile.undecodable, hostile.truncated])
def test_what_is_no_message_does_not_parse(kind: object) -> None:
    with pytest.raises(DecodeError):
        parsed(kind(VICTIM))  # type: ignore[operator]


def test_each_kind_is_bad_in_its_own_way() -> None:
    assert hostile.empty(VICTIM)[1] == b""
    assert "/DDATA/" not in hostile.unknown_topic(VICTIM)[0]
    assert channel(parsed(hostile.unknown_alias(VICTIM))).alias == 2**40
    assert channel(parsed(hostile.unknown_name(VICTIM))).name == "Never Declared"
    assert channel(parsed(hostile.wrong_datatype(VICTIM))).WhichOneof("value") == "string_value"
    assert len(channel(parsed(hostile.ragged_array(VICTIM))).bytes_value) % 4 == 3
    assert channel(parsed(hostile.far_past(VICTIM))).timestamp == 1
    ahead = channel(parsed(hostile.far_future(VICTIM, 2.0))).timestamp - VICTIM.event_ms
    assert ahead == 2 * 86_400_000
    assert not parsed(hostile.no_times(VICTIM)).HasField("timestamp")
    assert len(parsed(hostile.no_batch_number(VICTIM)).metrics) == 1
    assert hostile.never_born(VICTIM)[0].endswith("/X-999")


def test_numbers_that_are_none() -> None:
    def samples(message: hostile.Message) -> np.ndarray:
        return np.frombuffer(channel(parsed(message)).bytes_value, "<f4")

    assert np.isnan(samples(hostile.not_numbers(VICTIM))).all()
    assert np.isinf(samples(hostile.infinities(VICTIM))).mean() == 0.5
    with np.errstate(over="ignore"):
        assert np.isinf(samples(hostile.huge(VICTIM)) ** 2).all()


def test_duplicates_are_equal_and_disorder_loses_nothing() -> None:
    assert len(set(hostile.duplicates(VICTIM, 3))) == 1
    numbers = [number(m) for m in hostile.out_of_order(VICTIM, 5)]
    assert numbers == [42, 41, 44, 43, 45]


def test_readable_batches_of_every_kind_leave_no_gap() -> None:
    messages = hostile.every(VICTIM)
    unplaced = {"undecodable", "truncated", "empty", "unknown_topic", "no_batch_number"}
    numbers = [number(m) for kind, m in messages.items() if kind not in unplaced]
    assert numbers == list(range(41, 41 + len(numbers)))
