"""A period that is found from values, and what is usual at its phases."""

from __future__ import annotations

import numpy as np
import pytest

from stream_processor.kernels import cycle


def followed(values: np.ndarray, clock: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the residual of every row and the clock."""
    clock = np.zeros(cycle.CLOCK) if clock is None else clock
    usual, seen = np.zeros(cycle.PHASES), np.zeros(cycle.PHASES)
    run, blocks = np.zeros(cycle.RUN), np.zeros(cycle.BLOCKS)
    out = np.empty(values.size)
    for i, x in enumerate(values):
        out[i] = cycle.residual(x, clock, usual, seen, run)
        cycle.learn(x, True, clock, usual, seen, blocks)
    return out, clock


def wave(period: float, rows: int, noise: float = 0.3, seed: int = 1) -> np.ndarray:
    at = 2.0 * np.pi * np.arange(rows) / period
    random = np.random.default_rng(seed)
    found: np.ndarray = (
        5.0 + 3.0 * np.sin(at) + np.sin(3.0 * at + 1.0) + random.normal(0, noise, rows)
    )
    return found


@pytest.mark.parametrize("period", [31.0, 97.4, 288.0, 641.7])
def test_a_period_of_any_length_is_found(period: float) -> None:
    residuals, clock = followed(wave(period, 6000))
    assert clock[cycle.PERIOD] == pytest.approx(period, rel=0.005)
    late = residuals[4000:]
    assert np.nanstd(late) < 0.5, "the waves have a spread of 2.2, the noise one of 0.3"


def test_square_waves_have_one_too() -> None:
    values = (np.arange(3000) % 80 < 30).astype(float)
    residuals, clock = followed(values)
    assert clock[cycle.PERIOD] == pytest.approx(80.0, rel=0.01)
    assert np.nanmean(np.abs(residuals[2000:])) < 0.1


@pytest.mark.parametrize("seed", range(5))
def test_what_has_no_period_gets_none(seed: int) -> None:
    random = np.random.default_rng(seed)
    assert followed(random.normal(size=5000))[1][cycle.PERIOD] == 0.0
    assert followed(np.full(5000, 7.0))[1][cycle.PERIOD] == 0.0
    assert followed(np.arange(5000.0))[1][cycle.PERIOD] == 0.0


def test_a_new_period_replaces_the_old() -> None:
    """While the blocks know both, it may be a multiple that is found, which serves as well."""
    values = np.concatenate([wave(60.0, 20_000), wave(85.0, 3000)])
    residuals, clock = followed(values)
    periods = clock[cycle.PERIOD] / 85.0
    assert periods == pytest.approx(round(periods), abs=0.02)
    assert np.nanstd(residuals[-500:]) < 0.8, "the waves have a spread of 2.2"


def test_the_unit_does_not_matter() -> None:
    blocks = wave(40.0, 512)
    assert cycle.period(blocks * 2.0**30) == pytest.approx(cycle.period(blocks))
    assert cycle.period(blocks * 2.0**-30) == pytest.approx(cycle.period(blocks))
