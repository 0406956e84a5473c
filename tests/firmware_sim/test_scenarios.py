import pytest

from firmware_sim.plant import MACHINES, Plant
from firmware_sim.scenarios import SCENARIOS, Scenario


def test_the_scenarios_promised() -> None:
    assert set(SCENARIOS) == {
        "healthy", "bearing-wear", "bearing-inner-race", "cavitation", "unbalance", "misalignment",
        "looseness", "blocked-filter", "overheating", "air-leak", "sensor-stuck", "sensor-drift",
        "sensor-dropout", "sensor-spike",
    }  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda s: s.name)
def test_a_scenario_can_be_played_and_tells_the_truth(scenario: Scenario, start_ms: int) -> None:
    onset_ms = start_ms + scenario.warm_up_s * 1000
    plant = Plant(1, start_ms, scenario.faults(onset_ms))
    labels = scenario.labels(start_ms)
    assert plant.labels() == labels
    if scenario.fault is None:
        assert labels == ()
        return
    (label,) = labels
    assert label.machine == scenario.machine
    assert label.machine in MACHINES
    assert (label.label, label.onset_ms) == (scenario.fault, onset_ms)
    assert label.full_ms < start_ms + scenario.duration_s * 1000


def test_live_means_a_minute_of_growth() -> None:
    live = SCENARIOS["bearing-wear"].live()
    assert (live.vibration_interval_s, live.growth_s) == (1, 60)
    assert live.fault == "bearing_outer_race"
