"""The features of one vibration block by plain numpy formulas: what every peer computes.

It imports nothing but numpy, so that a peer can run it in an environment of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RATE_HZ = 3200.0
BLOCK = 1024
SHAFT_HZ = 24.7
VANES = 6.0
BEARING_ORDERS = (3.05, 4.95, 1.99, 0.38)
_BANDS = ((0.003125, 0.1), (0.1, 0.25), (0.25, 0.46875))
_WINDOW = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(BLOCK) / BLOCK)
_POWER = 2.0 / (BLOCK * (_WINDOW @ _WINDOW))
_RESOLUTION = RATE_HZ / BLOCK
_FIRST, _LAST = int(0.2 * BLOCK), int(0.47 * BLOCK)
_LENGTH = 512
_SHORT = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_LENGTH) / _LENGTH)


def _edges(low: float, high: float) -> slice:
    first = max(1, int(np.ceil(low / _RESOLUTION - 1e-9)))
    return slice(first, int(np.floor(high / _RESOLUTION + 1e-9)) + 1)


_VELOCITY = _edges(10.0, 1000.0)
_INTEGRAL = (2.0 * np.pi * np.arange(BLOCK // 2 + 1) * _RESOLUTION)[_VELOCITY] ** -2.0
_ENERGIES = [_edges(low * RATE_HZ, high * RATE_HZ) for low, high in _BANDS]


def _line(power: Array, order: float) -> float:
    at = round(order * SHAFT_HZ / _RESOLUTION)
    return float(power[max(1, at - 2) : at + 3].sum())


def block_features(x: Array) -> Array:
    """Return the 18 features of a block (1024,) of an acceleration in m/s2."""
    signal = x - x.mean()
    squares = signal * signal
    variance = squares.mean()
    rms = np.sqrt(variance)
    plain = np.fft.rfft(signal)
    power = np.abs(np.fft.rfft(signal * _WINDOW)) ** 2 * _POWER
    power[0] *= 0.5
    analytic = np.zeros(_LENGTH, dtype=np.complex128)
    analytic[: _LAST - _FIRST] = plain[_FIRST:_LAST]
    squared = np.abs(np.fft.ifft(analytic)) ** 2
    depth = np.abs(np.fft.rfft((squared / squared.mean() - 1.0) * _SHORT)) * (4.0 / _LENGTH)
    combs = []
    for order in BEARING_ORDERS:
        total = 0.0
        for h in (1, 2, 3):
            centre = h * order * SHAFT_HZ / _RESOLUTION
            reach = max(1.0, 0.015 * centre)
            first = max(1, int(np.floor(centre - reach)))
            last = min(depth.size - 1, int(np.ceil(centre + reach)))
            total += depth[first : last + 1].max() ** 2
        combs.append(np.sqrt(total))
    noise = power[256:480]
    sums = [_line(power, order) for order in (1.0, 2.0, 3.0)]
    sums.append(sum(_line(power, order) for order in (0.5, 1.5, 2.5, 3.5)))
    sums.append(sum(_line(power, order) for order in (4.0, 5.0, 7.0, 8.0)))
    sums.append(_line(power, VANES))
    return np.array(
        [
            rms,
            (squares * squares).mean() / (variance * variance),
            np.abs(signal).max() / rms,
            1e3 * np.sqrt((power[_VELOCITY] * _INTEGRAL).sum()),
            *(np.sqrt(power[edges].sum()) for edges in _ENERGIES),
            np.sqrt(np.median(noise) * noise.size),
            *np.sqrt(2.0 * np.array(sums)),
            *combs,
        ]
    )
