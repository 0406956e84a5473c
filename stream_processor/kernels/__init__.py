"""Compiled kernels: pure functions on arrays, one fused pass each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stream_processor.kernels import (
    baseline,
    blocks,
    counting,
    cycle,
    discounted,
    event_windows,
    ewma,
    features,
    first_passage,
    forest,
    joint,
    novelty,
    quantiles,
    recurrence,
    rolling,
    rolling_exact,
    rolling_lanes,
    series,
    signal,
    spectrum,
    tails,
    vibration,
)
from stream_processor.kernels.progress import shown

Progress = Callable[[str, int, int], None]


def _compile_blocks() -> None:
    x = np.arange(8.0)
    blocks.block_moments(x)
    blocks.one_second_aggregates(x, 4.0)
    blocks.longest_run(x, 0.0, 0)
    blocks.count_spikes(x, np.zeros(3), 6.0, 0.0)


def _compile_spectrum() -> None:
    x = spectrum.fill_gaps(np.arange(64.0))
    power = spectrum.power_spectrum(x)
    spectrum.band_power(power, 1.0, 2.0, 20.0)
    spectrum.band_powers(power, 1.0, np.array([[2.0, 20.0]]), np.empty(1))
    spectrum.velocity_power(power, 1.0, 2.0, 20.0)
    spectrum.line_power(power, 1.0, 10.0)
    amplitude, _ = spectrum.envelope_spectrum(x, 0.2, 0.47)
    spectrum.comb_amplitude(amplitude, 1.0, 3.0, 3, 0.02)


_STEPS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("rolling, exactly", rolling_exact.compile_all),
    ("rolling, eight at once", rolling_lanes.compile_all),
    ("rolling", rolling.compile_all),
    ("blocks", _compile_blocks),
    ("spectrum", _compile_spectrum),
    ("features", features.compile_all),
    ("quantiles", quantiles.compile_all),
    ("event windows", event_windows.compile_all),
    ("ewma", ewma.compile_all),
    ("baseline", baseline.compile_all),
    ("forest", forest.compile_all),
    ("counting", counting.compile_all),
    ("cycle", cycle.compile_all),
    ("novelty", novelty.compile_all),
    ("recurrence", recurrence.compile_all),
    ("series", series.compile_all),
    ("tails", tails.compile_all),
    ("joint", joint.compile_all),
    ("discounted", discounted.compile_all),
    ("first passage", first_passage.compile_all),
    ("signal", signal.compile_all),
    ("vibration", vibration.compile_all),
)


def warm_up(progress: Progress | None = None) -> None:
    """Compile every kernel, or load it from the cache of an earlier run.

    `progress` is called with what comes next, how many are done and how many there are; without
    one, a terminal gets a bar and a log one line a step.
    """
    if progress is None:
        with shown() as progress:
            _compile_all(progress)
    else:
        _compile_all(progress)


def _compile_all(progress: Progress) -> None:
    for done, (name, compile_kernel) in enumerate(_STEPS):
        progress(name, done, len(_STEPS))
        compile_kernel()
    progress("kernels", len(_STEPS), len(_STEPS))
