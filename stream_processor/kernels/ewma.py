"""Exponentially weighted mean and variance by event time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

# The state of a mean: its value, its variance, and how many samples it has seen.
MEAN, VARIANCE, SEEN = range(3)
STATE = 3

SCHEMA = 1


@njit(cache=True, nogil=True)
def ewma(at: Times, x: Array, constant: float, state: Array, newest: Times, out: Array) -> int:
    """Fill `out` (2, n) with the mean and the variance after each sample; return the skipped.

    A sample that follows the last one by Δ weighs 1 - exp(-Δ / constant), so a gap makes what was
    before it count less and invents nothing (variance: Finch, Incremental calculation of weighted
    mean and variance, 2009, section 9). Samples that are not numbers, or not younger than the last,
    leave the state as it is. State: `state` (3,) zeros at first, `newest` (1,).
    """
    skipped = 0
    for i in range(x.size):
        v = x[i]
        if not np.isfinite(v) or (state[SEEN] > 0.0 and at[i] <= newest[0]):
            skipped += 1
        elif state[SEEN] == 0.0:
            state[MEAN], state[VARIANCE], state[SEEN] = v, 0.0, 1.0
            newest[0] = at[i]
        else:
            weight = -np.expm1(-float(at[i] - newest[0]) / constant)
            d = v - state[MEAN]
            state[MEAN] += weight * d
            state[VARIANCE] = (1.0 - weight) * (state[VARIANCE] + weight * d * d)
            state[SEEN] += 1.0
            newest[0] = at[i]
        out[0, i] = state[MEAN] if state[SEEN] > 0.0 else np.nan
        out[1, i] = state[VARIANCE] if state[SEEN] > 0.0 else np.nan
    return skipped


@dataclass
class Ewma:
    """The mean and the variance of a stream that arrives in blocks."""

    constant: float
    values: Array
    newest: Times

    @classmethod
    def empty(cls, constant: float) -> Self:
        """Return the mean of a stream that has not begun; `constant` is in units of event time.

        Raises:
            ValueError: the constant is not positive.
        """
        if not constant > 0.0:
            raise ValueError(f"a mean that fades needs a positive time constant, not {constant}")
        return cls(constant, np.zeros(STATE), np.zeros(1, dtype=np.int64))

    def update(self, at: Times, x: Array) -> Array:
        """Return (2, n): mean and variance after each sample of a block."""
        out = np.empty((2, x.size))
        ewma(at, x, self.constant, self.values, self.newest, out)
        return out

    def state(self) -> dict[str, Any]:
        """Return the state: `schema`, and what is known of the stream."""
        return {
            "schema": SCHEMA,
            "constant": self.constant,
            "values": self.values.copy(),
            "newest": int(self.newest[0]),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the mean in `state`.

        Raises:
            ValueError: the state is of another schema.
        """
        if state["schema"] != SCHEMA:
            raise ValueError(f"EWMA state has schema {state['schema']}, not {SCHEMA}")
        return cls(state["constant"], state["values"].copy(), np.array([state["newest"]]))


def compile_all() -> None:
    """Compile the kernel for the one signature it has."""
    at = np.zeros(1, dtype=np.int64)
    ewma(at, np.zeros(1), 1.0, np.zeros(STATE), np.zeros(1, dtype=np.int64), np.empty((2, 1)))
