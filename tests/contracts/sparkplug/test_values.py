"""What Sparkplug 3.0 asks of DataSets, templates and their parts, held against the codec.

The node itself publishes none; the codec is what reads them from others, and would write them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge_agent.sparkplug import metrics
from edge_agent.sparkplug.metrics import Member, MetricError, Property, Table, Template
from edge_agent.v1 import sparkplug_b_pb2 as pb

Check = Callable[[], None]
CHECKS: dict[str, Check] = {}

TABLE = Table(("Hour", "Pieces"), (pb.DATA_TYPE_DATE_TIME, pb.DATA_TYPE_UINT32), ((1, 2), (3, 4)))
LIMIT = {"Limit": Property(pb.DATA_TYPE_DOUBLE, 4.5)}
MEMBERS = (
    Member("Speed", pb.DATA_TYPE_DOUBLE, 1480.0),
    Member("Running", pb.DATA_TYPE_BOOLEAN, True),
)
DEFINITION = Template(tuple(Member(m.name, m.datatype) for m in MEMBERS), LIMIT, version="1.2")
INSTANCE = Template(MEMBERS, LIMIT, ref="Pump", version="1.2")


def holds(*ids: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys((f"tck-id-{name}" for name in ids), check))
        return check

    return register


def written(kind: int, value: object) -> pb.Metric:
    metric = pb.Metric(name="X")
    metrics.encode(metric, kind, value)
    return pb.Metric.FromString(metric.SerializeToString())


def template(value: Template) -> pb.Template:
    return written(pb.DATA_TYPE_TEMPLATE, value).template_value


@holds(
    "payloads-dataset-column-size",
    "payloads-dataset-column-num-headers",
    "payloads-dataset-types-def",
    "payloads-dataset-types-num",
    "payloads-dataset-types-type",
    "payloads-dataset-parameter-type-req",
)
def a_table_has_as_many_types_as_columns() -> None:
    said = written(pb.DATA_TYPE_DATA_SET, TABLE).dataset_value
    assert (said.num_of_columns, list(said.columns)) == (2, ["Hour", "Pieces"])
    assert list(said.types) == [13, 7]
    assert all(len(row.elements) == 2 for row in said.rows)
    with pytest.raises(MetricError, match="2 columns and 1 types"):
        written(pb.DATA_TYPE_DATA_SET, Table(("a", "b"), (3,), ()))
    said.types.append(3)
    with pytest.raises(MetricError, match="2 columns and 3 types"):
        metrics.decode(pb.Metric(datatype=16, dataset_value=said))


@holds("payloads-dataset-types-value")
def columns_are_of_basic_types() -> None:
    for kind in range(1, 16):
        written(pb.DATA_TYPE_DATA_SET, Table(("a",), (kind,), ()))
    for kind in (0, *range(16, 36)):
        with pytest.raises(MetricError, match="a column of"):
            written(pb.DATA_TYPE_DATA_SET, Table(("a",), (kind,), ()))


@holds("payloads-template-dataset-value")
def cells_are_simple() -> None:
    said = written(pb.DATA_TYPE_DATA_SET, TABLE).dataset_value
    simple = {f"{kind}_value" for kind in ("int", "long", "float", "double", "boolean", "string")}
    assert {cell.WhichOneof("value") for row in said.rows for cell in row.elements} <= simple


@holds(
    "payloads-template-definition-is-definition",
    "payloads-template-is-definition",
    "payloads-template-is-definition-definition",
    "payloads-template-definition-ref",
    "payloads-template-ref-definition",
)
def a_definition_says_so_and_refers_to_none() -> None:
    said = template(DEFINITION)
    assert said.HasField("is_definition")
    assert said.is_definition
    assert not said.HasField("template_ref")


@holds(
    "payloads-template-instance-is-definition",
    "payloads-template-is-definition-instance",
    "payloads-template-instance-ref",
    "payloads-template-ref-instance",
)
def an_instance_says_of_what() -> None:
    said = template(INSTANCE)
    assert said.HasField("is_definition")
    assert not said.is_definition
    assert said.template_ref == "Pump"


@holds("payloads-template-version")
def a_version_is_text() -> None:
    assert template(DEFINITION).version == template(INSTANCE).version == "1.2"
    assert not template(Template(MEMBERS)).HasField("version")


@holds(
    "payloads-template-parameter-name-required",
    "payloads-template-parameter-name-type",
    "payloads-template-parameter-value-type",
    "payloads-template-parameter-type-req",
    "payloads-template-definition-parameters-default",
    "payloads-template-instance-parameters",
)
def parameters_have_name_and_type() -> None:
    for said in (template(DEFINITION), template(INSTANCE)):
        (parameter,) = said.parameters
        assert (parameter.name, parameter.type) == ("Limit", pb.DATA_TYPE_DOUBLE)
        assert parameter.double_value == 4.5


@holds("payloads-template-parameter-type-value", "payloads-template-parameter-value")
def parameters_are_of_basic_types() -> None:
    for kind in (0, *range(16, 35)):
        with pytest.raises(MetricError):
            template(Template((), {"p": Property(kind, 1)}))


@holds("payloads-template-instance-members-data")
def an_instance_may_have_some_members_only() -> None:
    part = Template(MEMBERS[:1], ref="Pump")
    assert metrics.decode(written(pb.DATA_TYPE_TEMPLATE, part)) == part


@pytest.mark.parametrize("assertion", sorted(CHECKS))
def test_assertion(assertion: str) -> None:
    CHECKS[assertion]()
