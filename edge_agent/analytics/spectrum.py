"""One Fourier transform a window, and what all outputs share of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Lines = npt.NDArray[np.complex128]
Real = npt.NDArray[np.floating[Any]]

# A Hann window smears a line over itself and two neighbours on either side at most.
LINE_REACH = 2
# Fresh memory for a long transform costs as much time as the transform itself.
_TAKES_OUT = int(np.__version__.partition(".")[0]) >= 2


class Spectrum:
    """The spectrum of `size` evenly spaced real samples, at `rate` samples a second (or a turn).

    `lines` is their transform without window, of shape (size // 2 + 1,), by numpy's sign and scale.
    """

    def __init__(self, lines: Lines, size: int, rate: float) -> None:
        self.lines, self.size, self.rate = lines, size, rate

    @classmethod
    def of(cls, samples: Real, rate: float, out: Lines | None = None) -> Spectrum:
        """Transform samples, shape (n,), n >= 4, into `out`, (n // 2 + 1,), where numpy can."""
        if out is None or not _TAKES_OUT:
            return cls(np.fft.rfft(samples), samples.size, rate)
        return cls(np.fft.rfft(samples, out=out), samples.size, rate)

    @property
    def resolution(self) -> float:
        """Distance of two lines, in the unit of `rate`."""
        return self.rate / self.size

    def power(self, first: int, stop: int) -> Array:
        """Return the one-sided mean squares of lines under a periodic Hann window.

        Lines go from `first` to before `stop`, 0 <= first <= stop <= size // 2 + 1. All of them sum
        to the window's weighted mean square of the samples (Parseval), so a band's sum is its mean
        square. The window is laid on in the frequency domain, where it is a convolution with (-1/4,
        1/2, -1/4) (Harris, "On the use of windows for harmonic analysis with the discrete Fourier
        transform", Proceedings of the IEEE 66 (1978), section V.C), so that one transform without a
        window serves bands, envelope and orders.
        """
        lines, size = self.lines, self.size
        if first >= stop:
            return np.empty(0)
        windowed = 0.5 * lines[first:stop]
        below, above = max(first - 1, 0), min(stop + 1, lines.size)
        windowed[below + 1 - first :] -= 0.25 * lines[below : stop - 1]
        windowed[: above - first - 1] -= 0.25 * lines[first + 1 : above]
        # Neighbours beyond the ends are mirror images.
        if first == 0:
            windowed[0] -= 0.25 * np.conj(lines[1])
        if stop == lines.size:
            windowed[-1] -= 0.25 * np.conj(lines[-2] if size % 2 == 0 else lines[-1])
        power: Array = np.square(windowed.real)
        power += np.square(windowed.imag)
        # The mean square of the window is 3/8.
        power *= 2.0 / (0.375 * size * size)
        if first == 0:
            power[0] *= 0.5
        if stop == lines.size and size % 2 == 0:
            power[-1] *= 0.5
        return power

    def band(self, low: float, high: float) -> tuple[int, int]:
        """Return the first line of a band and the one after its last, in the unit of `rate`.

        Both edges are in the band. The two are the same when it lies between two lines.
        """
        resolution, last = self.resolution, self.lines.size - 1
        first = min(max(int(np.ceil(low / resolution - 1e-6)), 0), last + 1)
        return first, max(min(int(np.floor(high / resolution + 1e-6)), last) + 1, first)


def line_amplitude(spectrum: Spectrum, place: float, slip: float = 0.0) -> float:
    """Return the peak amplitude of the line at `place`, in the unit of the spectrum's `rate`.

    The line is looked for within `slip` (a share of `place`), and what a Hann window smeared over
    its neighbours is gathered, so that it counts in full wherever it lies between two lines. NaN
    when the spectrum does not reach it, or is too coarse to tell it from zero.
    """
    centre = place / spectrum.resolution
    at, last = round(centre), spectrum.lines.size - 1
    if at < 1 + LINE_REACH or at + LINE_REACH > last:
        return float("nan")
    reach = int(np.ceil(slip * centre))
    first = max(at - reach, 1 + LINE_REACH) - LINE_REACH
    power = spectrum.power(first, min(at + reach + LINE_REACH, last) + 1)
    peak = LINE_REACH + int(np.argmax(power[LINE_REACH : power.size - LINE_REACH]))
    return float(np.sqrt(2.0 * power[peak - LINE_REACH : peak + LINE_REACH + 1].sum()))


@lru_cache(maxsize=256)
def smooth_size(least: int) -> int:
    """Return the smallest even number from `least` on with no prime factor above 5.

    Transforms of such sizes are fast.
    """
    size = max(least + least % 2, 2)
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 2
