"""Outputs are channels of their device, with the event times of their windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_agent.analytics import AnalysedDriver
from edge_agent.drivers import OptionsError
from edge_agent.drivers.base import BAD, Block, Channel, Device, Lost, WriteError, Writer


async def test_a_birth_declares_outputs_as_slow_channels(bench: Any) -> None:
    table = bench.analytics(
        window={"length_s": 2, "overlap": 0.5},
        outputs=["rms", "kurtosis", "velocity_rms", "zone", "envelope", "orders"],
        bands=[{"name": "Mesh Band", "low_order": 10, "high_order": 20}],
        zone={"limits_mm_s": [2.3, 4.5, 7.1], "provenance": "maker's manual, 7.2"},
    )
    driver = AnalysedDriver(bench.script(), [table])

    (device,) = driver.devices()

    added = device.channels[len(bench.pump.channels) :]
    assert [(c.name, c.unit, c.quantity) for c in added] == [
        ("Vibration RMS", "m/s2", "acceleration"),
        ("Vibration Kurtosis", "1", "other"),
        ("Vibration Velocity RMS", "mm/s", "velocity"),
        ("Vibration Zone", "1", "other"),
        ("Vibration Envelope RMS", "m/s2", "acceleration"),
        ("Vibration Envelope BPFO", "m/s2", "acceleration"),
        ("Vibration 1x", "m/s2", "acceleration"),
        ("Vibration 2x", "m/s2", "acceleration"),
        ("Vibration 3x", "m/s2", "acceleration"),
        ("Vibration Vane Pass", "m/s2", "acceleration"),
        ("Vibration Mesh Band RMS", "m/s2", "acceleration"),
    ]
    assert {(c.sample_rate_hz, c.location) for c in added} == {(1.0, "drive_end")}
    assert device.facts == {
        **bench.pump.facts,
        "Vibration Zone Limits": "2.3, 4.5, 7.1 mm/s",
        "Vibration Zone Provenance": "maker's manual, 7.2",
    }


async def test_values_are_those_of_the_wave(bench: Any) -> None:
    table = bench.analytics(
        outputs=["rms", "peak", "crest_factor", "velocity_rms", "zone", "orders"],
        zone={"limits_mm_s": [1, 4, 7], "provenance": "a test"},
        bands=[
            {"name": "Low", "low_hz": 10, "high_hz": 60},
            {"name": "High", "low_order": 5, "high_order": 30},
        ],
    )
    wave = bench.wave(2.0, 50.0) + bench.wave(1.0, 300.0) + np.float32(9.81)
    block = bench.block(0, Vibration=wave, Speed=[1500.0], Level=[1.0])

    (found,) = await bench.run(AnalysedDriver(bench.script(block), [table]))

    values = {n.removeprefix("Vibration "): v[0] for n, v in found.samples.items() if len(v) == 1}
    velocities = [1e3 * a / (2 * np.pi * f * np.sqrt(2)) for a, f in ((2.0, 50.0), (1.0, 300.0))]
    assert values["RMS"] == pytest.approx(np.sqrt(2.5), rel=1e-4)
    assert values["Crest Factor"] == pytest.approx(values["Peak"] / values["RMS"])
    assert values["Velocity RMS"] == pytest.approx(np.hypot(*velocities), rel=1e-2)
    assert values["Zone"] == 3.0
    assert values["1x"] < 0.01
    assert values["2x"] == pytest.approx(2.0, rel=1e-2)
    assert values["3x"] < 0.01
    assert values["Vane Pass"] < 0.01
    assert values["Low RMS"] == pytest.approx(2.0 / np.sqrt(2), rel=1e-4)
    assert values["High RMS"] == pytest.approx(1.0 / np.sqrt(2), rel=1e-4)
    assert (values["Speed"], values["Level"]) == (1500.0, 1.0)


@pytest.mark.parametrize("slip_percent", [0, 2])
async def test_lines_are_looked_for_when_the_speed_is_not_measured(
    bench: Any, slip_percent: float
) -> None:
    """A shaft that turns 1.4 % faster than its nominal 25 Hz: the sixth order is two lines off."""
    still = replace(bench.pump, channels=bench.pump.channels[:1])
    block = bench.block(0, Vibration=bench.wave(2.0, 6 * 25.35))
    table = bench.analytics(outputs=["orders"], slip_percent=slip_percent)

    (found,) = await bench.run(AnalysedDriver(bench.script(block, devices=[still]), [table]))

    vanes = found.samples["Vibration Vane Pass"][0]
    assert vanes == pytest.approx(2.0, rel=1e-2) if slip_percent else vanes < 1.8


async def test_an_output_lies_where_its_window_ends(bench: Any) -> None:
    """Blocks of 0.4 s, windows of a second: the third block completes one after 0.2 s."""
    blocks = [bench.block(0.4 * n, Vibration=bench.wave(1.0, 50.0, 0.4)) for n in range(6)]

    found = await bench.run(AnalysedDriver(bench.script(*blocks), [bench.analytics()]))

    ends = [
        b.start_time_ms + b.offsets_ms.get("Vibration RMS", 0) - bench.start_ms
        for b in found
        if "Vibration RMS" in b.samples
    ]
    assert ends == [1000, 2000]
    assert [b.start_time_ms for b in found] == [b.start_time_ms for b in blocks]
    assert all(b.offsets_ms.keys() <= {"Vibration RMS"} for b in found)


async def test_windows_of_one_block_are_samples_of_one_channel(bench: Any) -> None:
    block = bench.block(0, Vibration=bench.wave(1.0, 50.0, 3.0), Level=[1.0, 1.0, 1.0])
    table = bench.analytics(window={"length_s": 0.5})

    (found,) = await bench.run(AnalysedDriver(bench.script(block), [table]))

    np.testing.assert_allclose(found.samples["Vibration RMS"], np.sqrt(0.5), rtol=1e-4)
    assert found.samples["Vibration RMS"].size == 6
    assert found.offsets_ms == {"Vibration RMS": 500}


async def test_what_is_not_evenly_spaced_goes_in_blocks_of_its_own(bench: Any) -> None:
    """A shaft at half of its nominal speed: a window of 25 turns takes two seconds."""
    block = bench.block(0, Vibration=bench.wave(1.0, 50.0, 5.0), Speed=[750.0] * 5)
    table = bench.analytics(window={"revolutions": 25})
    driver = AnalysedDriver(bench.script(block), [table])

    first, second = await bench.run(driver)

    assert driver.devices()[0].channels[-1].sample_rate_hz == 1.0
    assert (first.offsets_ms, set(second.samples)) == ({"Vibration RMS": 2000}, {"Vibration RMS"})
    # Of one start with its block: the next may begin a little before the last window's end.
    assert (second.start_time_ms, second.offsets_ms) == (bench.start_ms, {"Vibration RMS": 4000})


async def test_no_output_lies_before_its_block(bench: Any) -> None:
    """Turns that ended before, by the speed that only came with the next block."""
    table = bench.analytics(window={"revolutions": 26})
    slow = bench.block(0, Vibration=bench.wave(1.0, 50.0), Speed=[1500.0])
    fast = bench.block(1, Vibration=bench.wave(1.0, 50.0), Speed=[2500.0])

    blocks = await bench.run(AnalysedDriver(bench.script(slow, fast), [table]))

    made = [b for b in blocks if "Vibration RMS" in b.samples]
    assert made
    assert all(offset >= 0 for b in made for offset in b.offsets_ms.values())


@pytest.mark.parametrize(
    ("outputs", "labels"),
    [
        (["vane_pass"], ["Vane Pass"]),
        (["orders"], ["1x", "2x", "3x", "Vane Pass"]),
        (["orders", "vane_pass"], ["1x", "2x", "3x", "Vane Pass"]),
    ],
)
def test_what_a_shaft_has_so_many_of_is_there_once(
    bench: Any, outputs: list[str], labels: list[str]
) -> None:
    (device,) = AnalysedDriver(bench.script(), [bench.analytics(outputs=outputs)]).devices()

    added = device.channels[len(bench.pump.channels) :]
    assert [c.name.removeprefix("Vibration ") for c in added] == labels


async def test_slow_channels_have_windows_too(bench: Any) -> None:
    table = bench.analytics(
        channel="Level", window={"length_s": 10}, outputs=["mean", "minimum", "maximum"]
    )
    blocks = [bench.block(4 * n, Level=np.arange(4.0 * n, 4.0 * n + 4)) for n in range(5)]

    found = await bench.run(AnalysedDriver(bench.script(*blocks), [table]))

    outputs = [
        (b.start_time_ms + b.offsets_ms["Level Mean"] - bench.start_ms, *(
            b.samples[f"Level {name}"].tolist() for name in ("Mean", "Minimum", "Maximum")
        ))
        for b in found
        if "Level Mean" in b.samples
    ]  # fmt: skip
    assert outputs == [(10_000, [4.5], [0.0], [9.0]), (20_000, [14.5], [10.0], [19.0])]


@pytest.mark.parametrize(("missing", "known"), [(319, True), (321, False), (3200, False)])
async def test_missing_samples_are_left_out_until_they_are_too_many(
    bench: Any, missing: int, known: bool
) -> None:
    wave = bench.wave(1.0, 50.0)
    wave[:missing] = np.nan
    wave[0] = np.inf
    driver = AnalysedDriver(
        bench.script(bench.block(0, Vibration=wave)), [bench.analytics(outputs=["rms", "mean"])]
    )

    (found,) = await bench.run(driver)

    if known:
        rms, present = found.samples["Vibration RMS"][0], wave[missing:].astype(float)
        assert rms == pytest.approx(present.std(), rel=1e-9)
    else:
        assert np.isnan(found.samples["Vibration RMS"]).all()
    assert driver.counts()["windows_unsound"] == (not known)


async def test_outputs_have_the_quality_of_their_channel(bench: Any) -> None:
    block = bench.block(0, Vibration=bench.wave(1.0, 50.0), Level=[np.nan])
    torn = Block(block.device, block.start_time_ms, block.samples, {"Vibration": BAD, "Level": BAD})

    (found,) = await bench.run(AnalysedDriver(bench.script(torn), [bench.analytics(raw="never")]))

    assert found.quality == {"Vibration RMS": BAD, "Level": BAD}


async def test_what_never_goes_out_is_not_declared(bench: Any) -> None:
    block = bench.block(0, Vibration=bench.wave(1.0, 50.0), Axial=bench.wave(1.0, 50.0))
    driver = AnalysedDriver(bench.script(block), [bench.analytics(channel="*i*a*", raw="never")])

    (found,) = await bench.run(driver)

    names = [c.name for c in driver.devices()[0].channels]
    assert names == ["Speed", "Level", "Vibration RMS", "Axial RMS"]
    assert set(found.samples) == {"Vibration RMS", "Axial RMS"}


async def test_a_block_of_which_nothing_is_left_stays_for_its_score(bench: Any) -> None:
    half = bench.block(0, Vibration=bench.wave(1.0, 50.0, 0.5))
    scored = Block(half.device, half.start_time_ms + 500, half.samples, score=0.25)

    found = await bench.run(
        AnalysedDriver(bench.script(half, scored, half), [bench.analytics(raw="never")])
    )

    assert [(set(b.samples), b.score) for b in found] == [({"Vibration RMS"}, 0.25)]


async def test_loss_and_foreign_blocks_pass(bench: Any) -> None:
    items = (Lost("P-1", "gone"), Block("X-1", 5, {"Y": np.zeros(1)}), Lost("X-1", "gone"))

    assert await bench.run(AnalysedDriver(bench.script(*items), [bench.analytics()])) == [*items]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"channel": "Level", "outputs": ["velocity_rms"]}, "'m', which is no acceleration"),
        ({"velocity_band_hz": [10, 2000]}, ""),
        (
            {"outputs": ["velocity_rms"], "velocity_band_hz": [10, 2000]},
            "velocity_band_hz: 2000 Hz is above half",
        ),
        (
            {"outputs": ["envelope"], "envelope_band_hz": [500, 2000]},
            "envelope_band_hz: 2000 Hz is above half",
        ),
        (
            {"bands": [{"name": "A", "low_hz": 1600, "high_hz": 1700}]},
            "bands[0].low_hz: 'A' lies above half",
        ),
        ({"window": {"length_s": 0.001}, "outputs": ["orders"]}, "window.length_s: 0.001 s have 3"),
        ({"channel": "Level", "window": {"length_s": 0.1}}, "window.length_s: 0.1 s have 0"),
        ({"speed_channel": "Tacho"}, "speed_channel: P-1 has no channel 'Tacho'"),
        ({"outputs": ["rms", "rms"]}, "outputs: rms is there twice"),
        ({"outputs": ["gear_mesh"]}, "outputs: gear_mesh needs the fact `Gear Teeth`"),
        ({"bands": [{"name": "Peak", "low_hz": 1, "high_hz": 9}]}, ""),
    ],
)
def test_a_table_that_does_not_fit_is_named(bench: Any, given: dict[str, Any], said: str) -> None:
    tables = [bench.analytics(channel="None of these"), bench.analytics(**given)]
    if not said:
        assert AnalysedDriver(bench.script(), tables).devices()
        return

    with pytest.raises(OptionsError) as error:
        AnalysedDriver(bench.script(), tables)

    assert said in str(error.value)
    field = said.partition(":")[0] if ":" in said else "outputs"
    assert error.value.path == f"analytics[1].{field}"


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ([{}, {}], "name: two channels would be 'Vibration RMS'"),
        ([{"raw": "captured"}, {"name": "Long"}], "raw: another table says 'captured'"),
    ],
)
def test_tables_that_do_not_go_together_are_named(
    bench: Any, tables: Sequence[dict[str, Any]], said: str
) -> None:
    with pytest.raises(OptionsError, match=said):
        AnalysedDriver(bench.script(), [bench.analytics(**table) for table in tables])


@pytest.mark.parametrize("outputs", [["orders"], ["envelope"]])
def test_orders_need_a_speed(bench: Any, outputs: list[str]) -> None:
    still = Device("P-1", "pump", "", (bench.pump.channels[0],), facts={"BPFO Order": 3.5})
    free = Device("P-1", "pump", "", (bench.pump.channels[0],))

    with pytest.raises(OptionsError, match="speed_channel: P-1 has no channel of quantity"):
        AnalysedDriver(bench.script(devices=[still]), [bench.analytics(outputs=outputs)])
    if outputs == ["envelope"]:
        (device,) = AnalysedDriver(
            bench.script(devices=[free]), [bench.analytics(outputs=outputs)]
        ).devices()
        assert [c.name for c in device.channels] == ["Vibration", "Vibration Envelope RMS"]


def test_two_windows_of_a_channel_have_names(bench: Any) -> None:
    tables = [bench.analytics(), bench.analytics(name="Minute", window={"length_s": 60})]

    (device,) = AnalysedDriver(bench.script(), tables).devices()

    added = device.channels[len(bench.pump.channels) :]
    assert [(c.name, c.sample_rate_hz) for c in added] == [
        ("Vibration RMS", 1.0),
        ("Vibration Minute RMS", 1 / 60),
    ]


class Valve:
    """A driver that writes."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, Any]] = []

    def devices(self) -> list[Device]:
        return [Device("V-1", "valve", "", (Channel("Position", "%", 1.0),))]

    async def blocks(self) -> Any:
        for item in ():
            yield item

    async def close(self) -> None: ...

    def writable(self, device: str) -> dict[str, str]:
        return {"Position": "%"}

    async def write(self, device: str, name: str, value: Any) -> None:
        self.written.append((device, name, value))


async def test_writes_pass(bench: Any) -> None:
    valve = Valve()
    driver = AnalysedDriver(valve, [])
    assert isinstance(driver, Writer)

    await driver.write("V-1", "Position", 40.0)

    assert driver.writable("V-1") == {"Position": "%"}
    assert valve.written == [("V-1", "Position", 40.0)]
    silent = AnalysedDriver(bench.script(), [bench.analytics()])
    assert silent.writable("P-1") == {}
    with pytest.raises(WriteError, match="writes nothing"):
        await silent.write("P-1", "Level", 1.0)
    script = bench.script()
    await AnalysedDriver(script, []).close()
    assert script.closed
