"""What is wrong with the analytics of a gateway file is told by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent import analytics, checking

SAMPLE = Path(analytics.__file__).parent / "sample.toml"
PLANT = """\
site = "s"
edge_node = "n"
[[drivers]]
kind = "plugin"
factory = "firmware_sim.driver:create"
options = { machines = ["P-101", "G-401"] }
"""
# Line 7 of a file.
PUMP = """\
[[analytics]]
device = "P-101"
channel = "Vibration Drive End"
window = { length_s = 1.0 }
outputs = ["rms"]
raw = "captured"
"""


def problems(tmp_path: Path, tables: str) -> list[tuple[int, str, str]]:
    file = tmp_path / "gateway.toml"
    file.write_text(PLANT + tables, encoding="utf-8")
    return [(p.line, p.field, p.message) for p in checking.check(file)]


def test_the_sample_is_good() -> None:
    assert checking.check(SAMPLE) == []


@pytest.mark.parametrize(
    ("tables", "line", "field", "said"),
    [
        (
            PUMP.replace("P-101", "P-999"),
            9,
            "analytics[0].channel",
            "no device 'P-999' has a channel 'Vibration Drive End'",
        ),
        (PUMP.replace("Drive End", "Top"), 9, "analytics[0].channel", "'Vibration Top'"),
        (
            PUMP.replace('"Vibration Drive End"', '"Flow"').replace("rms", "velocity_rms"),
            11,
            "analytics[0].outputs",
            "'Flow' is in 'm3/h', which is no acceleration or velocity",
        ),
        (
            PUMP.replace('"rms"', '"rms", "gear_mesh"'),
            11,
            "analytics[0].outputs",
            "gear_mesh needs the fact `Gear Teeth`, which P-101 does not have",
        ),
        (
            PUMP.replace("P-101", "G-401").replace("Drive End", "*").replace("rms", "vane_pass"),
            11,
            "analytics[0].outputs",
            "vane_pass needs the fact `Vane Count`, which G-401 does not have",
        ),
        (PUMP.replace("rms", "rmss"), 11, "analytics[0].outputs[0]", "is none of"),
        (PUMP.replace('"rms"', '"zone"'), 7, "analytics[0].zone", "go together"),
        (PUMP.replace("1.0", "0.0001"), 10, "analytics[0].window.length_s", ""),
        (PUMP.replace("length_s = 1.0", "overlap = 0.5"), 10, "analytics[0].window.length_s", ""),
        (
            f'{PUMP}[[analytics.bands]]\nname = "A"\nlow_hz = 10.0\nhigh_hz = 5.0\n',
            15,
            "analytics[0].bands[0].low_hz",
            "the band from 10 to 5 is empty",
        ),
        (
            f'{PUMP}[[analytics.bands]]\nname = "A"\nlow_hz = 1700.0\nhigh_hz = 1800.0\n',
            15,
            "analytics[0].bands[0].low_hz",
            "above half of the sample rate",
        ),
        (
            f"{PUMP}speed_channel = 'Tacho'\n",
            13,
            "analytics[0].speed_channel",
            "no channel 'Tacho'",
        ),
        (f"{PUMP}[[capture]]\npost_s = 1.0\n", 13, "capture[0]", "`pre_s` is missing"),
        (
            f"{PUMP}[[capture]]\ndevice = 'G-401'\npre_s = 1.0\npost_s = 1.0\n",
            13,
            "capture[0].channel",
            "no channel that an [[analytics]] table keeps",
        ),
        (
            f"{PUMP}[[capture]]\npre_s = 1.0\npost_s = 1.0\n"
            "[[capture.triggers]]\noutput = '* Peak'\nat_least = 1.0\n",
            17,
            "capture[0].triggers[0].output",
            "no output is '* Peak'",
        ),
        (
            f"{PUMP}[[report]]\nchannel = 'Vibration Top'\ndeadband = 1.0\n",
            14,
            "report[0].channel",
            "no device '*' has a channel 'Vibration Top'",
        ),
        (
            f"{PUMP}[[report]]\nchannel = 'Flow'\ndeadband_percent = 1.0\n",
            13,
            "report[0].range",
            "goes together",
        ),
        (
            f"{PUMP}[[writes]]\ndevice = 'P-101'\nname = 'Capture'\nkind = 'text'\n",
            15,
            "writes[0].name",
            "none of the points",
        ),
    ],
)
def test_an_error_is_told_by_its_line(
    tmp_path: Path, tables: str, line: int, field: str, said: str
) -> None:
    (problem,) = problems(tmp_path, tables)

    assert problem[:2] == (line, field)
    assert said in problem[2]


def test_every_table_is_told_of(tmp_path: Path) -> None:
    second = PUMP.replace("rms", "gear_mesh").replace("Drive End", "Axial")
    third = PUMP.replace("1.0", "0.0001").replace("rms", "orders")

    found = problems(tmp_path, PUMP.replace("rms", "gear_mesh") + second + third)

    assert [(line, field) for line, field, _ in found] == [
        (11, "analytics[0].outputs"),
        (17, "analytics[1].outputs"),
        (22, "analytics[2].window.length_s"),
    ]


def test_tables_that_do_not_go_together_are_told_of(tmp_path: Path) -> None:
    found = problems(tmp_path, PUMP + PUMP)

    assert [(line, field) for line, field, _ in found] == [(13, "analytics[1].name")]


def test_a_capture_may_be_confirmed_by_a_table_of_its_own(tmp_path: Path) -> None:
    writes = "[[writes]]\ndevice = 'P-101'\nname = 'Capture'\nkind = 'text'\nconfirm = true\n"

    assert problems(tmp_path, f"{PUMP}[[capture]]\npre_s = 1.0\npost_s = 1.0\n{writes}") == []
