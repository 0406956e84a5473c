"""The payload's field numbers are those of the Sparkplug 3.0 specification (6.4)."""

from __future__ import annotations

import pytest

from edge_agent.v1 import sparkplug_b_pb2

# As the specification's tables list them.
SPECIFIED = {
    "Payload": "timestamp=1 metrics=2 seq=3 uuid=4 body=5",
    "Metric": (
        "name=1 alias=2 timestamp=3 datatype=4 is_historical=5 is_transient=6 is_null=7 metadata=8 "
        "properties=9 int_value=10 long_value=11 float_value=12 double_value=13 boolean_value=14 "
        "string_value=15 bytes_value=16 dataset_value=17 template_value=18 extension_value=19"
    ),
    "MetaData": (
        "is_multi_part=1 content_type=2 size=3 seq=4 file_name=5 file_type=6 md5=7 description=8"
    ),
    "PropertySet": "keys=1 values=2",
    "PropertyValue": (
        "type=1 is_null=2 int_value=3 long_value=4 float_value=5 double_value=6 boolean_value=7 "
        "string_value=8 propertyset_value=9 propertysets_value=10 extension_value=11"
    ),
    "DataSet": "num_of_columns=1 columns=2 types=3 rows=4",
    "Template": "version=1 metrics=2 parameters=3 template_ref=4 is_definition=5",
}


@pytest.mark.parametrize("message", sorted(SPECIFIED))
def test_field_numbers(message: str) -> None:
    fields = sparkplug_b_pb2.DESCRIPTOR.message_types_by_name[message].fields
    assert {f"{f.name}={f.number}" for f in fields} == set(SPECIFIED[message].split())


def test_array_types_follow_the_scalar_ones() -> None:
    numbers = sparkplug_b_pb2.DataType
    assert numbers.Value("DATA_TYPE_INT8_ARRAY") == 22
    assert numbers.Value("DATA_TYPE_FLOAT_ARRAY") == 30
    assert numbers.Value("DATA_TYPE_DATE_TIME_ARRAY") == 34


def test_bytes_written_by_hand_are_read() -> None:
    # timestamp=1 varint, metric{name="T", alias=7, datatype=10, double=1.5}, seq=3
    metric = b"\x0a\x01T\x10\x07\x20\x0a\x69" + b"\x00\x00\x00\x00\x00\x00\xf8\x3f"
    payload = sparkplug_b_pb2.Payload.FromString(
        b"\x08\x01\x12" + bytes([len(metric)]) + metric + b"\x18\x03"
    )
    assert payload.seq == 3
    assert payload.metrics[0].alias == 7
    assert payload.metrics[0].double_value == 1.5
