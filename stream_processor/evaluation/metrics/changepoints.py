"""Change points by SKAB's variant of NAB's score (Katser and Kozitsin, 2020; package tsad).

A change point's window reaches from it a minute into the future; of windows that overlap, the
later begins where the earlier ends. The first alarm in a window is worth 1 at its beginning and
minus the cost of a false alarm at its end, by a hyperbolic tangent.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from stream_processor.evaluation.metrics.nab import PROFILES, Profile

Times = npt.NDArray[np.int64]
WINDOW_MS = 60_000
# Points of the table by which tsad evaluates its scale.
_STEPS = 1000


def changepoint_score(
    runs: Sequence[tuple[Times, Times]], profile: Profile, window_ms: int = WINDOW_MS
) -> float:
    """Return the score of runs, each the times of its change points and of its alarms, in ms.

    0 is for no alarm at all; 100 for one at the beginning of each window.
    """
    raw, count = 0.0, 0
    scale = _scale(profile)
    for truth, alarms in runs:
        bounds = [[int(t), int(t) + window_ms] for t in truth]
        for one, following in itertools.pairwise(bounds):
            if one[1] >= following[0]:
                following[0] = one[1]
        alarms = np.sort(alarms)
        count += len(bounds)
        inside = np.zeros(alarms.size, bool)
        for low, high in bounds:
            at = np.flatnonzero((alarms >= low) & (alarms <= high))
            inside[at] = True
            if not at.size:
                raw -= profile.missed
                continue
            share = (int(alarms[at[0]]) - low) / (high - low) if high > low else 0.0
            raw += float(scale[min(int(share * _STEPS), _STEPS - 1)])
        raw -= profile.false * np.count_nonzero(~inside)
    null = -profile.missed * count
    return 100.0 * (raw - null) / (profile.found * count - null) if count else float("nan")


def changepoint_scores(runs: Sequence[tuple[Times, Times]]) -> Mapping[str, float]:
    """Return the score under each profile."""
    return MappingProxyType({name: changepoint_score(runs, p) for name, p in PROFILES.items()})


def _scale(profile: Profile) -> npt.NDArray[np.float64]:
    x = np.linspace(-np.pi / 2, np.pi / 2, _STEPS)
    half = (profile.found + profile.false) / 2
    worth: npt.NDArray[np.float64] = -half * np.tanh(x) / np.tanh(np.pi / 2)
    return worth + half - profile.false
