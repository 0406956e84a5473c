"""Volume under the surface of precision and recall (Paparrizos et al., PVLDB 15, 2022).

The same figure as `RangeAUC_volume_opt` of the authors' package `vus` and of TSB-AD, which ask for
TensorFlow or PyTorch and take hours for 140,000 rows; here each buffer length costs one pass over
the rows near events.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from stream_processor.evaluation.recording import Flags, Window, windows_of

Array = npt.NDArray[np.float64]
THRESHOLDS = 250
# Buffer of a series without a period, and the longest period that counts as one.
DEFAULT_WINDOW = 125
LONGEST_PERIOD = 300


def buffer_rows(series: Array) -> int:
    """Return the largest buffer for a series, shape (n,): its period, as TSB-AD finds it.

    It is the highest local maximum of the autocorrelation of the first 20,000 rows at lags 3 to
    400, 125 rows without one or when it lies within 3 lags of the first or past 300. Of several
    channels the first one counts.
    """
    x = series[:20_000].astype(np.float64)
    x = x[np.isfinite(x)]
    if x.size < 8 or np.ptp(x) == 0.0:
        return DEFAULT_WINDOW
    x = x - x.mean()
    spectrum = np.fft.rfft(x, 2 * x.size)
    found = np.fft.irfft(spectrum * np.conj(spectrum))[3 : min(401, x.size)]
    peaks = 1 + np.flatnonzero((found[1:-1] > found[:-2]) & (found[1:-1] > found[2:]))
    if not peaks.size:
        return DEFAULT_WINDOW
    best = int(peaks[np.argsort(found[peaks])[-1]])
    return DEFAULT_WINDOW if best < 3 or best > LONGEST_PERIOD else best + 3


def vus_pr(labels: Flags, scores: Array, window: int, thresholds: int = THRESHOLDS) -> float:
    """Return the volume, 0 to 1, over buffers of 0 to `window` rows around each event.

    `labels` and `scores` have shape (n,); higher scores are stranger. NaN without any event.

    >>> vus_pr(np.array([0, 1, 1, 0, 0], bool), np.array([0.0, 2.0, 2.0, 0.0, 0.0]), 0)
    1.0
    """
    events = windows_of(labels)
    n = len(scores)
    if not events:
        return float("nan")
    ordered = -np.sort(-scores)
    levels = ordered[np.linspace(0, n - 1, thresholds).astype(np.int64)]
    # Of each row, the first level at which it is flagged.
    since = np.searchsorted(-levels, -scores, side="left")
    flagged = np.cumsum(np.bincount(since, minlength=thresholds))[:thresholds].astype(np.float64)
    volume = 0.0
    for buffer in range(window + 1):
        volume += _area(labels, events, since, flagged, buffer)
    return volume / (window + 1)


def _area(
    labels: Flags,
    events: tuple[Window, ...],
    since: npt.NDArray[np.int64],
    flagged: Array,
    buffer: int,
) -> float:
    n, levels = len(labels), len(flagged)
    reach = buffer // 2
    weight = np.zeros(n)
    if reach:
        away = np.arange(1, reach + 1)
        slope = np.tile(np.sqrt(1.0 - away / buffer), len(events))
        for edge in (
            np.array([e.last for e in events])[:, None] + away,
            np.array([e.first for e in events])[:, None] - away,
        ):
            rows = edge.ravel()
            valid = (rows >= 0) & (rows < n)
            np.add.at(weight, rows[valid], slope[valid])
    weight[labels] = 0.0
    around = np.flatnonzero(weight)
    sloped = np.minimum(weight[around], 1.0)
    inside = np.flatnonzero(labels)
    counted = np.bincount(since[inside], minlength=levels)[:levels].astype(np.float64)
    counted += np.bincount(since[around], sloped, minlength=levels)[:levels]
    hits = np.cumsum(counted)
    # What a buffer adds to the positives counts where it is flagged, the event itself always.
    extra = np.cumsum(np.bincount(since[around], sloped, minlength=levels)[:levels])
    positives = (inside.size + inside.size + extra) / 2.0
    zones = _merged(events, reach, n)
    first = np.array([int(since[low : high + 1].min()) for low, high in zones])
    existing = np.cumsum(np.bincount(first, minlength=levels)[:levels]) / len(zones)
    recall = np.minimum(hits / positives, 1.0) * existing
    precision = hits / flagged
    return float(np.dot(np.diff(recall, prepend=0.0), precision))


def _merged(events: tuple[Window, ...], reach: int, n: int) -> list[tuple[int, int]]:
    """Return the events with their buffers, those that touch as one."""
    low = max(events[0].first - reach, 0)
    zones = []
    for event, following in itertools.pairwise(events):
        if event.last + reach < following.first - reach:
            zones.append((low, event.last + reach))
            low = following.first - reach
    zones.append((low, min(events[-1].last + reach, n - 1)))
    return zones
