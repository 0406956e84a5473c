"""Vitals from files as Linux writes them, and from machines that tell less."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.fleet.vitals import VitalSigns


def test_what_the_machine_tells_is_read(tmp_path: Path) -> None:
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    (proc / "self").mkdir(parents=True)
    (proc / "self/status").write_text("Name:\tpython\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n")
    (proc / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable:  500 kB\n")
    (proc / "uptime").write_text("360.5 700.1\n")
    (proc / "loadavg").write_text("0.25 0.20 0.10 1/100 999\n")
    for zone, text in enumerate(("41500\n", "53250\n", "-274000\n", "no\n", "")):
        folder = sys / f"class/thermal/thermal_zone{zone}"
        folder.mkdir(parents=True)
        (folder / "temp").write_text(text)

    vitals = VitalSigns(tmp_path / "data", proc, sys).read()

    assert (vitals.memory_bytes, vitals.memory_peak_bytes) == (1 << 20, 2 << 20)
    assert vitals.machine_memory_free_bytes == 512_000
    assert (vitals.load, vitals.machine_uptime_s) == (0.25, 360.5)
    assert vitals.temperature_c == 53.25
    assert 0 < vitals.disk_free_bytes <= vitals.disk_bytes


def test_what_it_does_not_tell_is_none(tmp_path: Path) -> None:
    vitals = VitalSigns(tmp_path, tmp_path / "none", tmp_path / "none").read()

    assert (vitals.memory_bytes, vitals.temperature_c, vitals.load) == (None, None, None)


def test_processor_time_is_a_share_since_the_reading_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs = VitalSigns(tmp_path)
    first = signs.read()
    monkeypatch.setattr("edge_agent.fleet.vitals.LEAST_S", 0.0)
    sum(range(3_000_000))
    second = signs.read()
    monkeypatch.undo()

    # Too soon to say another.
    third = signs.read()

    assert first.cpu is None
    assert second.cpu is not None
    assert second.cpu > 0.1
    assert third.cpu == second.cpu
    assert 0 < first.cpu_s < second.cpu_s <= third.cpu_s
