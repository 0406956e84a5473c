"""The embedded historian: what is settled, let go, taken over and found after a crash."""

from __future__ import annotations

import itertools
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cloud_api.historian import HistorianError, Retention, SeriesBlock, Trend, WaveformRecord
from cloud_api.historian.duckdb import DuckDBHistorian

DAY = 86_400_000
START = 1_767_225_600_000
CHANNEL = "Vibration Drive End"


def opened(path: Path, **retention: int) -> DuckDBHistorian:
    """Open a historian that settles whenever it is tended."""
    ticks = itertools.count(0, 10_000)
    return DuckDBHistorian(
        path / "historian.duckdb", Retention(**retention), clock=lambda: float(next(ticks))
    )


def seconds(start: int, values: np.ndarray, tag: str = "P-1", step: int = 1000) -> SeriesBlock:
    times = start + step * np.arange(values.size, dtype=np.int64)
    ones = np.ones(values.size)
    return SeriesBlock(
        "plant", tag, CHANNEL, "m/s2", times, values, values - 1.0, values + 1.0,
        np.full(values.size, 3200), ones, 1000,
    )  # fmt: skip


def asked(historian: DuckDBHistorian, start: int, end: int, most: int, tag: str = "P-1") -> Trend:
    return historian.query("plant", tag, CHANNEL, start, end, most)


@dataclass
class Model:
    """What was written last, by time, and what a question about it must find."""

    points: dict[int, tuple[float, float, float, int]] = field(default_factory=dict)

    def write(self, block: SeriesBlock) -> None:
        assert block.minimum is not None
        assert block.maximum is not None
        assert block.count is not None
        rows = zip(block.value, block.minimum, block.maximum, block.count, strict=True)
        self.points |= dict(zip(block.time_ms.tolist(), rows, strict=True))

    def check(self, trend: Trend, start: int, end: int, most: int) -> None:
        times = sorted(t for t in self.points if start <= t < end)
        assert trend.time_ms.size <= most
        assert np.all(np.diff(trend.time_ms) > 0)
        if len(times) <= most:
            assert trend.bucket_ms == 0
            assert trend.time_ms.tolist() == times
            assert trend.value.tolist() == [self.points[t][0] for t in times]
            return
        width = trend.bucket_ms
        buckets: dict[int, list[tuple[float, float, float, int]]] = {}
        first = max(start, min(self.points))
        # One bucket is the whole of what is asked for, from the first point ever at the earliest.
        origin = 0 if most > 1 else first
        for t in times:
            buckets.setdefault((t - origin) // width, []).append(self.points[t])
        expected = [max(origin + key * width, first) for key in buckets]
        assert trend.time_ms.tolist() == expected
        assert trend.minimum.tolist() == [min(p[1] for p in b) for b in buckets.values()]
        assert trend.maximum.tolist() == [max(p[2] for p in b) for b in buckets.values()]
        means = [np.average([p[0] for p in b], weights=[p[3] for p in b]) for b in buckets.values()]
        assert np.allclose(trend.value, means, rtol=1e-9, atol=1e-9)


blocks = st.builds(
    lambda start, step, count, level, samples: SeriesBlock(
        "plant", "P-1", CHANNEL, "m/s2",
        START + 500 * start + step * np.arange(count, dtype=np.int64),
        level + np.sin(np.arange(count)), level - 2 - np.arange(count),
        level + 2 + np.arange(count),
        np.full(count, samples),
    ),
    start=st.integers(0, 40_000), step=st.sampled_from([250, 1000, 7000, 60_000, 600_000]),
    count=st.integers(1, 80), level=st.floats(-1e3, 1e3), samples=st.integers(1, 3200),
)  # fmt: skip
questions = st.tuples(
    st.integers(-1000, 60_000_000), st.integers(1, 60_000_000), st.sampled_from([1, 2, 3, 7, 50])
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBHistorian]:
    """A historian for many machines, each of one example."""
    historian = opened(tmp_path_factory.mktemp("historian"))
    yield historian
    historian.close()


@settings(max_examples=20, deadline=None, phases=[Phase.generate])
@given(
    steps=st.lists(st.one_of(blocks, st.just("tend")), min_size=1, max_size=8),
    asked_for=st.lists(questions, min_size=1, max_size=4),
)
def test_every_bucket_has_the_extremes_and_mean_of_its_points(
    shared: DuckDBHistorian,
    steps: list[SeriesBlock | str],
    asked_for: list[tuple[int, int, int]],
) -> None:
    tag, model = f"P-{uuid.uuid4().hex}", Model()
    for step in steps:
        if isinstance(step, str):
            shared.tend()
        else:
            shared.write([replace(step, equipment=tag)])
            model.write(step)
        if model.points:
            for offset, span, most in asked_for:
                start, end = START + offset, START + offset + span
                model.check(asked(shared, start, end, most, tag), start, end, most)


def test_a_kill_at_any_point_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    # The child writes and settles over and over, and says what it has kept.
    script = (
        "import itertools, sys\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from cloud_api.historian import Retention, SeriesBlock\n"
        "from cloud_api.historian.duckdb import DuckDBHistorian\n"
        "ticks = itertools.count(0, 10_000)\n"
        "historian = DuckDBHistorian(Path(sys.argv[1]), clock=lambda: float(next(ticks)))\n"
        "for n in itertools.count():\n"
        f"    times = {START} + 1000 * np.arange(n * 100, n * 100 + 100)\n"
        "    values = (times // 1000 % 977).astype(float)\n"
        f"    historian.write([SeriesBlock('plant', 'P-1', {CHANNEL!r}, '1', times, values)])\n"
        "    print(n, flush=True)\n"
        "    if n % 3 == 2: historian.tend()\n"
    )
    path = tmp_path / "historian.duckdb"
    kept = -1
    for kill_after in (4, 7, 11):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        said = -1
        for line in child.stdout:
            said = int(line)
            if said == kill_after:
                child.kill()
        child.wait()
        kept = max(kept, said)
        historian = opened(tmp_path)
        count = (kept + 1) * 100
        raw = asked(historian, START, START + count * 1000, count)
        assert raw.time_ms.tolist() == [START + 1000 * n for n in range(count)]
        thin = asked(historian, START, START + count * 1000, 30)
        assert thin.maximum.max() == raw.value.max()
        historian.close()


@pytest.mark.slow
def test_days_of_points_do_not_let_the_file_grow_for_ever(tmp_path: Path) -> None:
    historian = opened(tmp_path, raw_days=2, minute_days=4, hour_days=0)
    random = np.random.default_rng(1)
    used = []
    for day in range(10):
        for machine in range(2):
            values = random.normal(size=86_400)
            historian.write([seconds(START + day * DAY, values, f"P-{machine}")])
        usage = historian.tend()
        used.append((tmp_path / "historian.duckdb").stat().st_size)
        assert usage.points <= 3 * 2 * 86_400
        assert usage.minutes <= 5 * 2 * 1440
        assert usage.hours == (day + 1) * 2 * 24
    # Once the first days are gone, new ones go where these were.
    assert max(used[7:]) <= 1.25 * max(used[4:7])
    # A point, its roll-ups and what is free besides, in bytes.
    assert used[-1] < 3 * 2 * 86_400 * 100
    historian.close()


def test_the_oldest_goes_first_when_there_is_no_room(tmp_path: Path) -> None:
    historian = opened(tmp_path, total_bytes=16_000_000, raw_days=0, minute_days=0)
    random = np.random.default_rng(1)
    for day in range(5):
        for machine in range(2):
            historian.write(
                [seconds(START + day * DAY, random.normal(size=86_400), f"P-{machine}")]
            )
        usage = historian.tend()
    assert usage.bytes_used <= 16_000_000
    assert 0 < usage.points < 5 * 2 * 86_400
    first = asked(historian, START, START + DAY, 10_000)
    # Of the first day the minutes are left, of the last every point.
    assert set(np.diff(first.time_ms).tolist()) == {60_000}
    assert asked(historian, START + 4 * DAY, START + 4 * DAY + 60_000, 100).time_ms.size == 60
    historian.close()


def test_waveforms_go_by_age_and_by_size(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).normal(size=3200).astype(np.float32)
    historian = opened(tmp_path, waveform_bytes=40 * samples.nbytes, waveform_days=10)

    def record(number: int, day: int = 0) -> WaveformRecord:
        start = START + day * DAY + number
        return WaveformRecord(f"w{number}", "plant", "P-1", CHANNEL, "1", start, 3200.0, samples)

    for number in range(60):
        historian.write([], [record(number)])
    usage = historian.tend()
    assert usage.waveform_bytes <= 40 * samples.nbytes
    assert historian.waveform("w0") is None
    assert historian.waveform("w59") is not None
    historian.write([], [record(100, day=11)])
    assert historian.tend().waveforms == 1
    assert historian.waveform("w59") is None
    historian.close()


def test_a_file_of_the_first_schema_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "historian.duckdb"
    old = duckdb.connect(str(path))
    old.execute(
        """
        create sequence series_id;
        create table series (
            series_id integer primary key default nextval('series_id'),
            site varchar not null, equipment varchar not null, series varchar not null,
            unit varchar not null, aggregated boolean not null, unique (site, equipment, series)
        );
        create table extent (
            series_id integer not null, first_ms bigint not null, last_ms bigint not null
        );
        create table points (
            series_id integer not null, time_ms bigint not null, value double not null,
            minimum double, maximum double, count bigint
        );
        create table waveforms (
            waveform_id varchar primary key, site varchar not null, equipment varchar not null,
            channel varchar not null, unit varchar not null, start_time_ms bigint not null,
            sample_rate_hz double not null, samples blob not null
        );
        insert into series (site, equipment, series, unit, aggregated)
        values ('plant', 'P-1', 'health', '1', false), ('plant', 'P-1', 'Vibration', 'm/s2', true);
        """
    )
    old.execute(f"insert into extent values (1, {START}, {START + 2 * DAY}), (2, {START}, {START})")
    old.execute(
        f"insert into points values (1, {START}, 0.9, null, null, null), "
        f"(1, {START + 2 * DAY}, 0.8, null, null, null), (2, {START}, 1.0, -2.0, 3.0, 3200)"
    )
    old.execute(
        "insert into waveforms values ('w', 'plant', 'P-1', 'Vibration', 'm/s2', ?, 3200, ?)",
        [START, np.arange(4, dtype="<f4").tobytes()],
    )
    old.close()
    for _ in range(2):
        historian = opened(tmp_path)
        health = historian.query("plant", "P-1", "health", START, START + 9 * DAY, 10)
        assert health.value.tolist() == [0.9, 0.8]
        vibration = historian.query("plant", "P-1", "Vibration", START, START + DAY, 10)
        assert (vibration.minimum.tolist(), vibration.maximum.tolist()) == ([-2.0], [3.0])
        assert [s.series for s in historian.list_series("plant", "P-1")] == ["Vibration", "health"]
        kept = historian.waveform("w")
        assert kept is not None
        assert kept.samples.tolist() == [0.0, 1.0, 2.0, 3.0]
        historian.close()
    later = duckdb.connect(str(path))
    later.execute("update version set version = 99")
    later.close()
    with pytest.raises(HistorianError, match="newer code"):
        opened(tmp_path)
