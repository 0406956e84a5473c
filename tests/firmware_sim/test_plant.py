from collections.abc import Callable

import numpy as np
import pytest

from edge_agent.drivers.base import Block
from firmware_sim.faults import (
    BEARING_OUTER_RACE,
    CAVITATION,
    OVERHEATING,
    SENSOR_DRIFT,
    SENSOR_DROPOUT,
    SENSOR_SPIKE,
    SENSOR_STUCK,
    Fault,
)
from firmware_sim.plant import ENTERPRISE, MACHINES, SITE, Plant

QUANTITIES = {
    "acceleration", "velocity", "temperature", "pressure", "differential_pressure", "flow",
    "current", "speed", "power", "level", "count", "other",
}  # fmt: skip


def same(one: Block, other: Block) -> bool:
    return (
        one.device == other.device
        and one.start_time_ms == other.start_time_ms
        and one.samples.keys() == other.samples.keys()
        and all(
            np.array_equal(one.samples[k], other.samples[k], equal_nan=True) for k in one.samples
        )
    )


def test_six_machines_declare_themselves_by_the_contract(start_ms: int) -> None:
    devices = Plant(1, start_ms).devices("simulated")
    assert {d.equipment_class for d in devices} == {
        "centrifugal_pump", "gearmotor", "fan", "screw_compressor", "conveyor", "filler_capper",
    }  # fmt: skip
    for device in devices:
        assert not set(device.tag) & set("/+#.*> ")
        levels = device.path.split("/")
        assert levels[:2] == [ENTERPRISE, SITE]
        assert len(levels) == 5
        assert {c.quantity for c in device.channels} <= QUANTITIES
        assert len({c.name for c in device.channels}) == len(device.channels)
        fast = [c for c in device.channels if c.quantity == "acceleration"]
        assert [c.sample_rate_hz for c in fast] == [3200.0] * len(fast)
        assert fast
        assert all(c.sample_rate_hz == 1.0 for c in device.channels if c not in fast)
        assert "speed" in {c.quantity for c in device.channels}
        assert {"Nominal Speed", "BPFO Order", "BPFI Order", "BSF Order", "FTF Order"} <= set(
            device.facts
        )


def test_a_block_has_what_its_period_produced(start_ms: int) -> None:
    plant = Plant(1, start_ms)
    device = plant.devices()[0]
    block = plant.machines[device.tag].block(7140, 600)  # across the end of the second hour
    assert block.start_time_ms == start_ms + 7_140_000
    assert set(block.samples) == {c.name for c in device.channels}
    for channel in device.channels:
        samples = block.samples[channel.name]
        assert samples.dtype == np.float32
        assert len(samples) == (3200 if channel.sample_rate_hz > 1 else 600)
        assert np.isfinite(samples).all()


@pytest.mark.parametrize("tag", MACHINES)
def test_a_block_does_not_depend_on_what_was_asked_before(tag: str, start_ms: int) -> None:
    forward = Plant(7, start_ms, machines=[tag]).machines[tag]
    jumping = Plant(7, start_ms, machines=[tag]).machines[tag]
    wanted = [0, 60, 3599, 3600, 9000, 14_400]
    first = {k: forward.block(k, 60) for k in wanted}
    second = {k: jumping.block(k, 60) for k in reversed(wanted)}
    assert all(same(first[k], second[k]) for k in wanted)


def test_another_seed_is_another_plant(start_ms: int) -> None:
    one, other = (Plant(s, start_ms).machines["P-101"].block(60, 60) for s in (1, 2))
    for name in one.samples:
        assert not np.array_equal(one.samples[name], other.samples[name])


@pytest.mark.parametrize("tag", MACHINES)
def test_a_fault_changes_nothing_before_its_onset(tag: str, start_ms: int) -> None:
    onset_s = 5000
    fault = Fault(tag, BEARING_OUTER_RACE, start_ms + onset_s * 1000, 600.0)
    healthy = Plant(3, start_ms)
    failing = healthy.with_faults([fault])
    assert same(healthy.machines[tag].block(4940, 60), failing.machines[tag].block(4940, 60))
    assert not same(healthy.machines[tag].block(5300, 60), failing.machines[tag].block(5300, 60))


def test_one_machine_alone_is_the_same_as_among_the_others(start_ms: int) -> None:
    alone = Plant(3, start_ms, machines=["C-301"]).machines["C-301"].block(120, 60)
    assert same(alone, Plant(3, start_ms).machines["C-301"].block(120, 60))


def test_blocks_come_in_the_order_of_time(start_ms: int) -> None:
    blocks = list(Plant(1, start_ms).blocks(0, 130, 60))
    times = [(b.start_time_ms - start_ms) // 1000 for b in blocks]
    assert times == [0] * 6 + [60] * 6 + [120] * 6
    assert len(blocks[-1].samples["Speed"]) == 10


@pytest.mark.parametrize("tag", MACHINES)
def test_a_healthy_day_is_stationary_with_a_load_cycle(
    tag: str, start_ms: int, velocity_rms: Callable[..., float]
) -> None:
    machine = Plant(5, start_ms, machines=[tag]).machines[tag]
    blocks = [machine.block(k, 60) for k in range(0, 86_400, 300)]
    vibration = machine.accelerometers[0].name
    velocity = np.array([velocity_rms(b.samples[vibration]) for b in blocks])
    assert velocity.max() < 2.8  # ISO 20816-3, group 2 on a rigid foundation: zones A and B
    first, last = velocity[:72].mean(), velocity[-72:].mean()
    assert abs(last / first - 1) < 0.2
    current = np.array([b.samples["Motor Current"].mean() for b in blocks])
    temperature = next(c.name for c in (s.channel for s in machine.sensors) if "Temp" in c.name)
    warmth = np.array([np.mean(b.samples[temperature]) for b in blocks])
    assert np.ptp(warmth) > 0.5
    assert np.ptp(warmth) < 25.0
    assert np.ptp(current) > 0.01 * current.mean()


def test_the_rate_of_the_line_is_seen_in_the_speed_of_its_drives(start_ms: int) -> None:
    plant = Plant(5, start_ms)
    time_s = start_ms / 1000 + np.arange(0, 86_400, 600.0)
    rate = plant.machines["CV-402"].duty.rate(time_s)
    speed = [plant.machines["CV-402"].true("Speed", k) for k in range(0, 86_400, 600)]
    assert np.corrcoef(rate, speed)[0, 1] > 0.9


def failing(tag: str, label: str, channel: str, start_ms: int) -> np.ndarray:
    fault = Fault(tag, label, start_ms + 600_000, 600.0, channel=channel)
    return Plant(2, start_ms, [fault]).machines[tag].block(0, 3600).samples[channel]


def test_a_lost_sensor_gives_nan_more_and_more(start_ms: int) -> None:
    lost = np.isnan(failing("P-101", SENSOR_DROPOUT, "Flow", start_ms))
    assert not lost[:600].any()
    assert 0.2 < lost[600:1200].mean() < 0.8
    assert lost[600:900].mean() < lost[900:1200].mean()
    assert lost[1201:].all()


def test_a_stuck_sensor_repeats_its_last_value_in_every_later_hour(start_ms: int) -> None:
    fault = Fault("P-101", SENSOR_STUCK, start_ms + 600_000, 0.0, channel="Flow")
    machine = Plant(2, start_ms, [fault]).machines["P-101"]
    flow = machine.block(0, 3600).samples["Flow"]
    assert len(np.unique(flow[:600])) > 500
    assert np.all(flow[600:] == flow[599])
    assert np.all(machine.block(7200, 60).samples["Flow"] == flow[599])
    assert len(np.unique(machine.block(7200, 60).samples["Discharge Pressure"])) > 30


def test_a_stuck_sensor_at_the_turn_of_an_hour(start_ms: int) -> None:
    fault = Fault("P-101", SENSOR_STUCK, start_ms + 3_600_000, 0.0, channel="Flow")
    machine = Plant(2, start_ms, [fault]).machines["P-101"]
    later = machine.block(3600, 60).samples["Flow"]
    assert np.all(later == later[0])


def test_a_drifting_sensor_leaves_the_truth_behind(start_ms: int) -> None:
    healthy = Plant(2, start_ms).machines["F-201"].block(0, 3600).samples["Bearing Temperature"]
    drift = failing("F-201", SENSOR_DRIFT, "Bearing Temperature", start_ms) - healthy
    assert np.all(drift[:600] == 0.0)
    assert np.all(np.diff(drift[600:1200]) > 0.0)
    assert drift[-1] == pytest.approx(15.0, abs=0.1)


def test_spikes_are_few_and_large(start_ms: int) -> None:
    healthy = Plant(2, start_ms).machines["FC-403"].block(0, 3600).samples["Bowl Pressure"]
    hit = failing("FC-403", SENSOR_SPIKE, "Bowl Pressure", start_ms) != healthy
    assert not hit[:600].any()
    assert 0.02 < hit[1200:].mean() < 0.08


@pytest.mark.parametrize("label", [SENSOR_STUCK, SENSOR_DROPOUT, SENSOR_SPIKE, SENSOR_DRIFT])
def test_accelerometers_fail_too(label: str, start_ms: int) -> None:
    fault = Fault("P-101", label, start_ms + 60_000, 0.0, channel="Vibration Axial")
    machine = Plant(2, start_ms, [fault]).machines["P-101"]
    healthy = Plant(2, start_ms).machines["P-101"]
    assert same(machine.block(0, 60), healthy.block(0, 60))
    bad, good = machine.block(60, 60).samples, healthy.block(60, 60).samples
    assert not np.array_equal(bad["Vibration Axial"], good["Vibration Axial"])
    assert np.array_equal(bad["Vibration Drive End"], good["Vibration Drive End"])


def test_what_cannot_be_is_refused(start_ms: int) -> None:
    with pytest.raises(ValueError, match="machines: no 'P-102'"):
        Plant(1, start_ms, machines=["P-102"])
    with pytest.raises(ValueError, match="a fan has no cavitation"):
        Plant(1, start_ms, [Fault("F-201", CAVITATION, start_ms, 60.0)])
    with pytest.raises(ValueError, match="has no channel 'Flow'"):
        Plant(1, start_ms, [Fault("F-201", SENSOR_STUCK, start_ms, 60.0, channel="Flow")])
    with pytest.raises(ValueError, match="is not simulated"):
        Plant(1, start_ms, [Fault("F-201", OVERHEATING, start_ms, 60.0)], ["P-101"])
    with pytest.raises(ValueError, match="overheating twice"):
        Plant(1, start_ms, [Fault("F-201", OVERHEATING, start_ms, 60.0)] * 2)
    with pytest.raises(ValueError, match="seed -1"):
        Plant(-1, start_ms)
    with pytest.raises(ValueError, match="before its start"):
        Plant(1, start_ms).machines["P-101"].block(-60, 60)
