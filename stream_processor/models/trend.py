"""The slope of a noisy series and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Two-sided 90 %.
_Z90 = 1.6448536269514722
_LEAST_POINTS = 8


@dataclass(frozen=True, slots=True)
class Trend:
    """Theil-Sen slope with its 90 % interval and the Mann-Kendall statistic `z`."""

    slope: float
    lower: float
    upper: float
    z: float

    @property
    def significant(self) -> bool:
        """Whether the interval excludes a slope of zero."""
        return self.lower > 0.0 or self.upper < 0.0


def theil_sen(time: Array, value: Array) -> Trend | None:
    """Return the trend of `value` (n,) over `time` (n,), None for fewer than eight points.

    The slope is the median of the slopes of all pairs, its interval their order statistics (Sen,
    JASA 63 (1968), 1379-1389; Gilbert, "Statistical Methods for Environmental Pollution
    Monitoring", 1987, 16.5). Tied times are left out.

    >>> theil_sen(np.arange(9.0), 3.0 - 0.5 * np.arange(9.0)).slope
    -0.5
    """
    n = time.size
    if n < _LEAST_POINTS:
        return None
    first, second = np.triu_indices(n, 1)
    run = time[second] - time[first]
    apart = run != 0.0
    rise = (value[second] - value[first])[apart]
    slopes = np.sort(rise / run[apart])
    if slopes.size == 0:
        return None
    variance = n * (n - 1) * (2 * n + 5) / 18.0
    reach = _Z90 * np.sqrt(variance)
    low = int(np.floor((slopes.size - reach) / 2.0))
    high = int(np.ceil((slopes.size + reach) / 2.0))
    s = float(np.sign(rise * run[apart]).sum())
    return Trend(
        float(np.median(slopes)),
        float(slopes[max(low, 0)]),
        float(slopes[min(high, slopes.size - 1)]),
        s / float(np.sqrt(variance)),
    )
