import numpy as np
import pytest

from firmware_sim import faults
from firmware_sim.faults import SENSOR_FAULTS, SENSOR_STUCK, UNBALANCE, Fault
from stream_processor.v1.alert_pb2 import FailureMode

FAILURE_MODES = FailureMode.DESCRIPTOR.values_by_name


def test_labels_are_the_failure_modes_of_the_contract() -> None:
    labels = {v for k, v in vars(faults).items() if k.isupper() and isinstance(v, str)}
    contract = {name.removeprefix("FAILURE_MODE_").lower() for name in FAILURE_MODES}
    assert labels == contract - {"unspecified", "undetermined"}


@pytest.mark.parametrize("growth", ["linear", "exponential"])
def test_severity_grows_from_the_onset_and_stays(growth: faults.Growth) -> None:
    fault = Fault("F-201", UNBALANCE, 10_000, 60.0, growth, 0.8)
    severity = fault.severity_at(np.arange(0.0, 120.0))
    assert np.all(severity[:11] == 0.0)
    assert np.all(np.diff(severity[10:71]) > 0.0)
    np.testing.assert_allclose(severity[70:], 0.8)
    assert fault.truth.onset_ms == 10_000
    assert fault.truth.full_ms == 70_000


def test_exponential_growth_starts_slowly() -> None:
    time_s = np.array([30.0])
    slow = Fault("F-201", UNBALANCE, 0, 60.0, "exponential").severity_at(time_s)
    assert 0.05 < slow[0] < 0.2


def test_a_sensor_sticks_at_once() -> None:
    fault = Fault("P-101", SENSOR_STUCK, 5_000, 3600.0, channel="Flow")
    np.testing.assert_array_equal(fault.severity_at(np.array([4.0, 5.0, 6.0])), [0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"severity": 0.0}, "severity"),
        ({"severity": 1.5}, "severity"),
        ({"growth_s": -1.0}, "growth_s"),
        ({"growth": "sudden"}, "growth"),
        ({"label": next(iter(SENSOR_FAULTS))}, "channel"),
        ({"channel": "Flow"}, "channel"),
    ],
)
def test_a_wrong_fault_is_refused_by_name(change: dict[str, object], named: str) -> None:
    good: dict[str, object] = {"machine": "P-101", "label": UNBALANCE, "onset_ms": 0, "growth_s": 1}
    with pytest.raises(ValueError, match=named):
        Fault(**{**good, **change})  # type: ignore[arg-type]
