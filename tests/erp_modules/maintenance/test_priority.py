from __future__ import annotations

from itertools import product

import pytest

from erp_modules.maintenance import priority as module
from erp_modules.maintenance.priority import Criticality, Priority, Severity, priority_of
from erp_modules.maintenance.v1 import maintenance_pb2 as pb
from stream_processor.v1 import alert_pb2


def test_matrix_is_the_documented_one() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (module.__doc__ or "").splitlines()
        if line.startswith(("| low", "| medium", "| high", "| safety"))
    ]
    assert len(rows) == len(Criticality)
    for row in rows:
        criticality = Criticality[row[0].split()[0].upper()]
        documented = [Priority[cell.upper()] for cell in row[1:]]
        assert [priority_of(criticality, severity) for severity in Severity] == documented


def test_numbers_are_those_of_the_contract() -> None:
    assert [c.value for c in Criticality] == list(pb.Criticality.values())[1:]
    assert [p.value for p in Priority] == list(pb.TicketPriority.values())[1:]
    assert [s.value for s in Severity] == list(alert_pb2.Severity.values())[1:]


@pytest.mark.parametrize("sensor_fault", [False, True])
def test_more_severe_or_more_critical_is_never_less_urgent(sensor_fault: bool) -> None:
    for criticality, severity in product(Criticality, Severity):
        priority = priority_of(criticality, severity, sensor_fault=sensor_fault)
        for worse in Severity:
            if worse > severity:
                assert priority_of(criticality, worse, sensor_fault=sensor_fault) >= priority
        for costlier in Criticality:
            if costlier > criticality:
                assert priority_of(costlier, severity, sensor_fault=sensor_fault) >= priority


def test_an_instrument_ranks_one_lower_and_not_under_low() -> None:
    for criticality, severity in product(Criticality, Severity):
        machine = priority_of(criticality, severity)
        instrument = priority_of(criticality, severity, sensor_fault=True)
        assert instrument == max(machine - 1, Priority.LOW)
