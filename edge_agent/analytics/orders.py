"""Computed order tracking: samples at even times become samples at even angles of the shaft."""

from __future__ import annotations

import numpy as np

from edge_agent.analytics.spectrum import Array, Spectrum, smooth_size
from edge_agent.analytics.speed import Turning

# Fewer turns do not tell one order from the next under a Hann window.
LEAST_TURNS = 5
# Samples a period of the highest order that is kept: at the highest that was asked for a cubic
# between four of them is 0.2 % off.
_OVERSAMPLING = 8
# Orders are kept up to a little above the highest that was asked for.
KEPT = 1.25
# Samples over the angle for each one over time, above which the speed changes too much to be
# followed.
_MOST_SAMPLES = 16


def order_spectrum(spectrum: Spectrum, turning: Turning, highest_order: float) -> Spectrum | None:
    """Return the spectrum over turns of the shaft, up to `highest_order` and a quarter more.

    Fyfe and Munck, "Analysis of computed order tracking", Mechanical Systems and Signal Processing
    11 (1997), 187-205: an ideal low-pass filter, then samples at even angles by cubics between four
    neighbours. What lies above the kept orders at the fastest speed is cut off first, so that
    nothing folds back. The angle covers whole turns. None when there are fewer than `LEAST_TURNS`,
    or when the speed is no more than guessed at: the shaft all but stood meanwhile.
    """
    if turning.total + 1e-9 < LEAST_TURNS:
        return None
    kept = KEPT * highest_order
    # A turn, above twice the highest order that the cut below lets through at the slowest speed.
    a_turn = 2.0 * kept * turning.fastest / turning.slowest
    if not a_turn * turning.total <= _MOST_SAMPLES * spectrum.size:
        return None
    turns = int(turning.total + 1e-9)
    last = min(int(kept * turning.fastest / spectrum.resolution) + 1, spectrum.lines.size - 1)
    size = smooth_size(max(_OVERSAMPLING * last, 64))
    lines = spectrum.lines[: last + 1]
    if 2 * last == spectrum.size:
        # The Nyquist line stands for two once it lies inside of a longer spectrum.
        lines = lines.copy()
        lines[-1] *= 0.5
    slow = np.fft.irfft(lines, size)
    slow *= size / spectrum.size
    count = smooth_size(int(np.ceil(a_turn * turns)) + 2)
    angles = np.arange(count) * (turns / count)
    times = np.interp(angles, turning.turns, turning.times_s)
    even = at_places(slow, times * (spectrum.rate / spectrum.size * size))
    return Spectrum.of(even, count / turns)


def at_places(samples: Array, places: Array) -> Array:
    """Return samples at fractional places by the cubic through four neighbours (Lagrange).

    Beyond the ends the samples repeat, as those of a discrete Fourier transform do.

    >>> at_places(np.arange(8.0) ** 3, np.array([2.5, 3.0])).tolist()
    [15.625, 27.0]
    """
    padded = np.concatenate((samples[-1:], samples, samples[:3]))
    before = places.astype(np.intp)
    t = places - before
    a, b, c, d = (padded[before + n] for n in range(4))
    # Newton's form of the cubic through -1, 0, 1 and 2.
    even = (a + c) / 2 - b
    odd = (d - a) / 6 + (b - c) / 2
    found: Array = b + t * (c - a / 3 - b / 2 - d / 6 + t * (even + t * odd))
    return found
