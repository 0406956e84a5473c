"""One series: what is unusual of it, on what scale, and what becomes of a lasting change."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks import series as nab
from stream_processor.kernels import series as kernel
from stream_processor.models import SeriesMonitor
from stream_processor.models.series import limit_for

MINUTE_MS = 60_000
STEP_MS = 5 * MINUTE_MS
DAY = 288
LIMIT = 4.0


def daily(days: int, seed: int = 1, noise: float = 0.3) -> np.ndarray:
    """Values every five minutes with a daily wave of five times the noise or more."""
    at = np.arange(days * DAY)
    random = np.random.default_rng(seed)
    wave: np.ndarray = (
        20.0 + 3.0 * np.sin(2.0 * np.pi * at / DAY) + random.normal(0, noise, at.size)
    )
    return wave


def followed(values: np.ndarray, model: SeriesMonitor | None = None) -> np.ndarray:
    model = model or SeriesMonitor()
    return np.array([model.follow(float(x), i * STEP_MS, LIMIT).news for i, x in enumerate(values)])


@pytest.mark.parametrize("seed", range(5))
def test_a_spike_a_shift_and_a_silent_peak_are_news(seed: int) -> None:
    usual = daily(20, seed)
    spike, shift, flat = usual.copy(), usual.copy(), usual.copy()
    spike[4000] += 6.0
    shift[4000:] += 6.0
    # The peak of a day that does not come: no single value is out of the usual range.
    flat[15 * DAY : 15 * DAY + 144] -= 3.0 * np.sin(2.0 * np.pi * np.arange(144) / DAY)
    assert followed(spike)[4000] >= LIMIT
    assert followed(shift)[4000:4012].max() >= LIMIT
    assert followed(flat)[15 * DAY : 15 * DAY + 144].max() >= LIMIT


def test_healthy_series_raise_few_alarms() -> None:
    alarms = sum(int((followed(daily(30, seed)) >= LIMIT).sum()) for seed in range(10))
    assert alarms <= 60, f"{alarms} alarms in ten healthy months"


def test_the_scale_is_that_of_a_tail_probability() -> None:
    """Of what has an exponential tail, a share of about 10**-s exceeds a surprise of s."""
    random = np.random.default_rng(3)
    tail = np.zeros(kernel.TAILS)
    surprises = []
    for x in random.exponential(size=200_000):
        surprises.append(kernel.tail_surprise(x, tail))
        kernel.tail_learn(x, tail)
    found = np.array(surprises[20_000:])
    for s in (2.0, 3.0, 4.0):
        share = (found > s).mean()
        assert 10.0 ** -(s + 0.5) < share < 10.0 ** -(s - 0.35), f"{share} exceed {s}"


def test_the_unit_of_a_value_does_not_matter() -> None:
    values = daily(10)
    values[2500] += 5.0
    expected = followed(values)
    # Powers of two, which are exact.
    assert np.allclose(followed(values * 2.0**20), expected, atol=1e-6)
    assert np.allclose(followed(values * 2.0**-10), expected, atol=1e-6)


def test_what_alarms_does_not_move_what_is_expected() -> None:
    model = SeriesMonitor()
    followed(daily(10), model)
    before = model._slow.copy()
    surprise = model.follow(200.0, 10 * DAY * STEP_MS, LIMIT)
    assert surprise.value >= LIMIT
    assert np.array_equal(model._slow, before)


def test_a_lasting_change_becomes_usual() -> None:
    values = daily(40)
    values[10 * DAY :] += 30.0
    model = SeriesMonitor()
    raised = [model.follow(float(x), i * STEP_MS, LIMIT).value for i, x in enumerate(values)]
    assert max(raised[10 * DAY : 10 * DAY + 12]) >= LIMIT
    assert np.mean(np.array(raised[30 * DAY :]) >= LIMIT) < 0.001
    values[39 * DAY] += 30.0
    assert followed(values)[39 * DAY] >= LIMIT


def test_no_row_is_seen_early() -> None:
    values = daily(8)
    other = values.copy()
    np.random.default_rng(5).shuffle(other[1500:])
    assert np.array_equal(followed(values)[:1500], followed(other)[:1500])


def test_the_first_row_has_no_part_in_the_score() -> None:
    """A series that begins a week later at the same values has the same surprises."""
    values = daily(8)
    week = 7 * 24 * 60 * MINUTE_MS
    early, late = SeriesMonitor(), SeriesMonitor()
    for i, x in enumerate(values):
        ours = early.follow(float(x), i * STEP_MS, LIMIT)
        assert ours == late.follow(float(x), i * STEP_MS + week, LIMIT)


def counter(days: int, seed: int) -> np.ndarray:
    """A meter whose rate follows the day, and which starts again every 3000 rows."""
    at = np.arange(days * DAY)
    random = np.random.default_rng(seed)
    rate = np.maximum(
        2.0 + 1.5 * np.sin(2.0 * np.pi * at / DAY) + random.normal(0, 0.5, at.size), 0
    )
    total: np.ndarray = np.cumsum(rate)
    return total - total[at // 3000 * 3000] + 1.0


@pytest.mark.parametrize("seed", range(3))
def test_of_a_counter_the_rate_is_judged(seed: int) -> None:
    values = counter(30, seed)
    usual = followed(values)
    assert (usual >= LIMIT).sum() <= 12, "a counter that starts again is no event"
    rising = values.copy()
    rising[7000:] += np.minimum(np.arange(rising.size - 7000), 40) * 6.0
    assert followed(rising)[7000:7040].max() >= LIMIT


def test_what_falls_after_all_is_no_counter() -> None:
    """A slow wave rises for longer than it takes to be held for a counter."""
    at = np.arange(6000)
    values = 50.0 - 20.0 * np.cos(2.0 * np.pi * at / 1500)
    values += np.random.default_rng(4).normal(0, 0.001, at.size)
    values[5200] += 3.0
    found = followed(values)
    assert found[5200] >= LIMIT
    assert (found[1500:5200] >= LIMIT).sum() <= 3


@pytest.mark.parametrize("period", [45, 70, 330])
def test_a_cycle_that_misses_is_news_whatever_its_period(period: int) -> None:
    at = np.arange(5000)
    random = np.random.default_rng(period)
    values = 10.0 + 3.0 * np.sin(2.0 * np.pi * at / period) + random.normal(0, 0.3, at.size)
    missing = values.copy()
    stop = slice(4000, 4000 + period)
    missing[stop] = 10.0 + random.normal(0, 0.3, period)
    model = SeriesMonitor()
    # Of the clock it knows nothing here: a row every 7 minutes.
    raised = [model.follow(float(x), i * 7 * MINUTE_MS, LIMIT).value for i, x in enumerate(missing)]
    assert max(raised[stop]) >= LIMIT


def test_switching_on_and_off_is_no_event() -> None:
    random = np.random.default_rng(11)
    values, at = np.zeros(12_000), 0
    while at < values.size:
        length = int(random.integers(100, 600))
        values[at : at + length] = 20.0 * (values[at - 1] < 10.0)
        at += length
    values += random.normal(0, 0.5, values.size)
    found = followed(values)
    assert (found[4000:] >= LIMIT).sum() <= 3, "there are about 23 switches"
    values[10_000] += 20.0 * (1.0 if values[9_999] > 10.0 else -1.0)
    assert followed(values)[10_000] >= LIMIT


def test_noise_that_grows_is_found_without_a_value_out_of_range() -> None:
    values = daily(20, seed=6, noise=0.1)
    values[4000:4100] += np.random.default_rng(7).normal(0, 0.6, 100)
    model = SeriesMonitor()
    best = np.zeros(len(kernel.VIEWS))
    for i, x in enumerate(values[:4100]):
        model.follow(float(x), i * STEP_MS, LIMIT)
        if i >= 4000:
            best = np.maximum(best, model.surprises)
    assert best[kernel.VIEWS.index("unrest")] >= LIMIT


def test_a_missing_row_does_not_shift_the_cycle() -> None:
    at = np.arange(5000)
    values = (at % 70 < 30) * 5.0 + np.random.default_rng(8).normal(0, 0.1, at.size)
    kept = (at < 4000) | (at >= 4033)
    model = SeriesMonitor()
    late = [
        model.follow(float(x), int(i) * 7 * MINUTE_MS, LIMIT) and model.surprises
        for i, x in zip(at[kept], values[kept], strict=True)
    ][4020:]
    assert np.max(late, axis=0)[kernel.VIEWS.index("cycle")] < LIMIT


def test_a_tenth_of_anomalies_does_not_hide_them() -> None:
    """What alarms enters the tails, yet its share of the rows may be large."""
    values, random = daily(40), np.random.default_rng(9)
    starts = np.arange(2000, values.size - 100, 400)
    for start in starts:
        values[start : start + 40] += 12.0 * random.choice([-1.0, 1.0])
    model = SeriesMonitor()
    raised = np.array(
        [model.follow(float(x), i * STEP_MS, LIMIT).value for i, x in enumerate(values)]
    )
    found = [raised[start : start + 40].max() >= 3.0 for start in starts]
    assert np.mean(found) >= 0.9


def test_the_limit_is_that_of_alarms_a_month() -> None:
    """Of ten years of healthy months about as many alarms come as were asked for."""
    limit = limit_for(30.0, STEP_MS)
    alarms = sum(int((followed(daily(60, seed))[2000:] >= limit).sum()) for seed in range(10))
    months = 10 * (60 * DAY - 2000) / (30 * DAY)
    assert 30.0 / 4.0 <= alarms / months <= 30.0 * 2.0
    assert limit_for(1.0, STEP_MS) == pytest.approx(limit + np.log10(30.0))
    with pytest.raises(ValueError, match="positive"):
        limit_for(0.0, STEP_MS)


@pytest.mark.parametrize(
    ("detector", "published"),
    [("ARTime", 74.85), ("contextOSE", 69.90), ("windowedGaussian", 39.65)],
)
def test_the_score_is_that_of_nab(detector: str, published: float) -> None:
    folder = Path(os.environ.get("HEADRACE_EVAL_DATA", "../shared/data")) / "nab"
    if not folder.exists():
        pytest.skip(f"no data in {folder}")
    corpus = nab.corpus(folder)
    scores = {s.name: np.zeros(s.values.size) for s in corpus}
    short = {name.rpartition("/")[2]: name for name in scores}
    with gzip.open(folder / "reference_scores" / f"{detector}.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            name = short[row["file"].rpartition("/")[2]]
            scores[name][int(row["row"])] = float(row["anomaly_score"])
    found, _ = nab.best(corpus, [scores[s.name] for s in corpus])
    assert found == pytest.approx(published, abs=0.01)
