"""What the flow looks like to a person, read off the flow that the engine runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bytewax.dataflow import Dataflow
from bytewax.visualize import RenderedOperator, to_rendered


class StepKind(StrEnum):
    """Where a step stands; the values are the engine's names of the operators that do work."""

    SOURCE = "input"
    STAGE = "stateful_batch"
    SINK = "output"


_WORKING = frozenset(kind.value for kind in StepKind)


@dataclass(frozen=True, slots=True)
class Step:
    """A step that does work, and those that take what it makes."""

    name: str
    kind: StepKind
    feeds: tuple[str, ...]


def steps_of(flow: Dataflow) -> list[Step]:
    """Return the steps that do work, in the order in which the flow was built.

    What lies between them (mapping, filtering, branching, merging) is left out: a step feeds those
    that its items can come to through nothing else.
    """
    operators = to_rendered(flow).substeps
    maker = {port.port_id: operator for operator in operators for port in operator.out_ports}
    feeds: dict[str, list[str]] = {}
    for operator in operators:
        if operator.op_type not in _WORKING:
            continue
        feeds.setdefault(operator.step_name, [])
        for feeder in _feeders(operator, maker):
            taken = feeds.setdefault(feeder, [])
            if operator.step_name not in taken:
                taken.append(operator.step_name)
    return [
        Step(o.step_name, StepKind(o.op_type), tuple(feeds[o.step_name]))
        for o in operators
        if o.op_type in _WORKING
    ]


def _feeders(operator: RenderedOperator, maker: dict[str, RenderedOperator]) -> Iterator[str]:
    for port in operator.inp_ports:
        for port_id in port.from_port_ids:
            before = maker[port_id]
            if before.op_type in _WORKING:
                yield before.step_name
            else:
                yield from _feeders(before, maker)
