"""What a gateway file may say, and what it is told when it says something else."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent import checking, drivers, settings
from edge_agent.drivers import OptionsError
from edge_agent.drivers.modbus.options import DeviceTable, PointTable, SerialTable

SAMPLE = Path(settings.__file__).parent / "drivers" / "modbus" / "sample.toml"
POINT = {"name": "Level", "table": "input", "address": 0}
WAVE = {**POINT, "type": "int16", "count": 100, "sample_rate_hz": 100.0}


def device(**given: Any) -> dict[str, Any]:
    return {"tag": "T-1", "equipment_class": "tank", "points": [POINT], **given}


def options(**given: Any) -> dict[str, Any]:
    return {"tcp": {"host": "plc"}, "devices": [device()], **given}


def of_point(**given: Any) -> dict[str, Any]:
    return options(devices=[device(points=[{**POINT, **given}])])


def test_the_sample_opens() -> None:
    gateway = settings.gateway_of(tomllib.loads(SAMPLE.read_text(encoding="utf-8")))
    for table in gateway.drivers:
        driver = drivers.open_driver(*table.chosen)
        assert driver.devices()


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"devices": [device()]}, "tcp", "give one of"),
        (options(serial={"device": "/dev/ttyUSB0"}), "tcp", "give one of"),
        (options(devices=[]), "devices", "length"),
        (
            {"serial": {"device": "/dev/ttyS0", "baudrate": 1200}, "devices": [device()]},
            "timeout_s",
            "2.4 s at 1200 baud",
        ),
        (options(devices=[device(), device()]), "devices", "T-1"),
        (options(devices=[device(points=[])]), "devices[0].points", "browse"),
        (options(devices=[device(points=[POINT, POINT])]), "devices[0].points", "Level"),
        (options(devices=[device(points=[WAVE])]), "devices[0].points", "no single value"),
        (options(tcp={"host": "plc", "port": 70_000}), "tcp.port", "65535"),
        (options(tcp={"host": "plc", "tls": {"ca": "/none.pem"}}), "tcp.tls", "none.pem"),
        (options(devices=[device(block_s=2.5)]), "devices[0].block_s", "multiple"),
        (
            options(devices=[device(block_s=10.0, points=[POINT, {**WAVE, "name": "V"}])]),
            "devices[0].block_s",
            "one waveform",
        ),
        (of_point(address=None), "devices[0].points[0].address", "both"),
        (of_point(reference="40001"), "devices[0].points[0].address", "or a reference"),
        (of_point(type="bool"), "devices[0].points[0].type", "input"),
        (of_point(table="coil", type="int16"), "devices[0].points[0].type", "bool"),
        (of_point(address=65_535, type="float32"), "devices[0].points[0].address", "65535"),
        (of_point(bit=3), "devices[0].points[0].bit", "uint16"),
        (of_point(scale=0), "devices[0].points[0].scale", "undone"),
        (of_point(writable=True), "devices[0].points[0].writable", "input"),
        (of_point(read=False), "devices[0].points[0].read", "neither"),
        (of_point(write_function=6), "devices[0].points[0].write_function", "writable"),
        (of_point(count=5), "devices[0].points[0].sample_rate_hz", "waveform"),
        (of_point(sequence_address=5), "devices[0].points[0].sequence_address", "waveform"),
        (
            of_point(table="holding", type="float32", writable=True, write_function=6),
            "devices[0].points[0].write_function",
            "16 can",
        ),
        (of_point(kind="int16"), "devices[0].points[0].kind", "no such field"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(OptionsError, match=message) as refused:
        drivers.open_driver("modbus", given)
    where = str(refused.value).partition(": ")[0]
    assert (refused.value.path or where) == path


def test_a_wrong_type_is_explained_by_its_line(tmp_path: Path) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    assert checking.check(SAMPLE) == []
    file = tmp_path / "gateway.toml"
    file.write_text(text.replace('type = "float32"', 'type = "float33"'), encoding="utf-8")
    (problem,) = checking.check(file)
    assert problem.line == 1 + text.splitlines().index('type = "float32"')
    assert problem.field == "drivers[0].options.devices[0].points[0].type"
    assert '"float33" is none of' in problem.message


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        ("40001", ("holding", 0)),
        ("400001", ("holding", 0)),
        ("465536", ("holding", 65_535)),
        ("30108", ("input", 107)),
        ("10001", ("discrete", 0)),
        ("00017", ("coil", 16)),
    ],
)
def test_a_reference_counts_from_one(reference: str, place: tuple[str, int]) -> None:
    assert PointTable(name="P", reference=reference).place == place


@pytest.mark.parametrize("reference", ["40000", "4001", "20001", "4000a", "465537", "٤0001"])
def test_what_is_no_reference_is_refused(reference: str) -> None:
    with pytest.raises(ValueError, match="reference"):
        PointTable(name="P", reference=reference)


@pytest.mark.parametrize(
    ("period_s", "block_ms"), [(1.0, 1000), (0.4, 1200), (0.1, 1000), (60.0, 60_000), (0.3, 1200)]
)
def test_a_block_is_about_a_second_unless_told(period_s: float, block_ms: int) -> None:
    made = msgspec.convert(device(period_s=period_s), DeviceTable)
    assert made.block_ms == block_ms
    assert made.block_ms % round(1000 * period_s) == 0


def test_silence_between_frames_is_three_and_a_half_characters() -> None:
    assert SerialTable(device="x", baudrate=9600).silence_s == pytest.approx(0.00401, abs=1e-5)
    assert SerialTable(device="x", baudrate=115_200).silence_s == 0.00175
