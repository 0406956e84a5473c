"""Compiled kernels: pure functions on arrays, one fused pass each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stream_processor.kernels import baseline, blocks, forest, rolling, spectrum

Progress = Callable[[str, int, int], None]


def _compile_rolling() -> None:
    window = rolling.Rolling.empty(4)
    window.update(np.arange(9.0))


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
    spectrum.velocity_power(power, 1.0, 2.0, 20.0)
    spectrum.line_power(power, 1.0, 10.0)
    amplitude, _ = spectrum.envelope_spectrum(x, 0.2, 0.47)
    spectrum.comb_amplitude(amplitude, 1.0, 3.0, 3, 0.02)


def _compile_baseline() -> None:
    baseline.compile_all()


def _compile_forest() -> None:
    forest.compile_all()


_STEPS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("rolling", _compile_rolling),
    ("blocks", _compile_blocks),
    ("spectrum", _compile_spectrum),
    ("baseline", _compile_baseline),
    ("forest", _compile_forest),
)


def warm_up(progress: Progress | None = None) -> None:
    """Compile every kernel, or load it from the cache of an earlier run.

    `progress` is called with what comes next, how many are done and how many there are.
    """
    for done, (name, compile_kernel) in enumerate(_STEPS):
        if progress is not None:
            progress(name, done, len(_STEPS))
        compile_kernel()
    if progress is not None:
        progress("kernels", len(_STEPS), len(_STEPS))
