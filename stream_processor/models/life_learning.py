"""Learn a life library from run-to-failure histories of an equipment class.

Networks did best of what was tried over units left out (README), and are small enough that numpy
trains them in a minute or two, without another dependency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_processor.models.remaining_life import (
    WARM_UP,
    LifeLibrary,
    Trajectory,
    Weights,
    inputs_of,
    predict,
)

Array = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]

HIDDEN = (64, 32)
EPOCHS = 8
# Few histories are gone through more often.
LEAST_STEPS = 700
BATCH = 256
RATE = 2e-3
DECAY = 1e-4
FOLDS = 5
# Networks in the library and in each fold: as many, so that what a fold is off says what it is off.
NETWORKS = 5
CHANCES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
# Levels at which the spread is kept, and how near a level what was said counts, as shares of the
# horizon.
LEVELS = 26
NEAR = 0.03
LEAST_UNITS = 2 * FOLDS
# Of each history so many parts are learnt from besides, each from a random row on: a machine is not
# always followed from when it was new, and how long it has been followed is to say nothing.
PARTS = 2


class LearningError(ValueError):
    """Histories from which nothing can be learnt."""


@dataclass(frozen=True)
class Unseen:
    """What networks said of units they had not seen, with the truth, one array (r,) a unit."""

    said: list[Array]
    truth: list[Array]


def learn(
    histories: Sequence[Array],
    channels: Sequence[str],
    equipment_class: str,
    horizon: float,
    unit: str = "cycles",
    version: str = "1",
    seed: int = 1,
    hours: float = float("nan"),
    card: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[LifeLibrary, Unseen]:
    """Return the library of `histories`, each (rows, channels) up to the failure, and its proof.

    Rows are one `unit` apart, which is `hours` where that is a time. Channels that never change are
    left out. The spread is that of networks on units left out of their training, a fold of units at
    a time (CV+: Barber et al., "Predictive inference with the jackknife+", Annals of Statistics 49
    (2021), 486-507).

    Raises:
        LearningError: too few histories, or no channel that changes.
    """
    if len(histories) < LEAST_UNITS:
        raise LearningError(f"{len(histories)} histories: {LEAST_UNITS} are needed")
    rows = np.vstack([*histories])
    changing = np.nanstd(rows, axis=0) > 1e-9 * np.maximum(1.0, np.abs(np.nanmean(rows, axis=0)))
    # A channel of two values is a switch: its slope says nothing.
    changing &= np.array([np.unique(c[np.isfinite(c)]).size > 2 for c in rows.T])
    if not changing.any():
        raise LearningError("no channel changes")
    kept = rows[:, changing]
    mean, scale = np.nanmean(kept, axis=0), np.nanstd(kept, axis=0)
    random = np.random.default_rng(seed)
    count = len(histories)
    # The whole histories first, then the parts; `unit` is whose each is.
    begun = [0] * count + [
        int(random.integers(1, max(2, len(h) - WARM_UP))) for _ in range(PARTS) for h in histories
    ]
    unit_of = np.arange(len(begun)) % count
    inputs = [
        _inputs(np.asarray(histories[i])[first:, changing], mean, scale)
        for i, first in zip(unit_of.tolist(), begun, strict=True)
    ]
    truth = [np.minimum(np.arange(len(part))[::-1], horizon).astype(np.float64) for part in inputs]
    stacked = np.vstack(inputs)
    input_mean, input_scale = stacked.mean(axis=0), stacked.std(axis=0) + 1e-9
    scaled = [(part - input_mean) / input_scale for part in inputs]
    fold = (random.permutation(count) % FOLDS)[unit_of]
    said: list[Array] = [np.empty(0)] * len(inputs)

    def say(what: str, before: int, done: int) -> None:
        if progress is not None:
            progress(what, before + done, (FOLDS + 1) * NETWORKS)

    for k in range(FOLDS):
        inside = np.flatnonzero(fold != k).tolist()
        layers = _networks(
            np.vstack([scaled[i] for i in inside]),
            np.concatenate([truth[i] for i in inside]) / horizon,
            range(seed, seed + NETWORKS),
            partial(say, "units left out", k * NETWORKS),
        )
        for i in np.flatnonzero(fold == k):
            said[i] = predict(layers, scaled[i], horizon)
    layers = _networks(
        np.vstack(scaled),
        np.concatenate(truth) / horizon,
        range(seed, seed + NETWORKS),
        partial(say, "library", FOLDS * NETWORKS),
    )
    levels = np.linspace(0.0, horizon, LEVELS)
    warm = [slice(WARM_UP - 1, None)] * len(inputs)
    spread = spread_of(
        np.concatenate([p[w] for p, w in zip(said, warm, strict=True)]),
        np.concatenate([t[w] for t, w in zip(truth, warm, strict=True)]),
        levels,
        NEAR * horizon,
        count,
    )
    errors = np.concatenate([(p - t)[WARM_UP - 1 :] for p, t in zip(said, truth, strict=True)])
    library = LifeLibrary(
        equipment_class,
        version,
        unit,
        hours,
        tuple(c for c, there in zip(channels, changing, strict=True) if there),
        mean,
        scale,
        input_mean,
        input_scale,
        layers,
        horizon,
        levels,
        CHANCES,
        spread,
        {
            "histories": len(histories),
            "observations": len(rows),
            "seed": seed,
            "rmse_of_units_left_out": round(float(np.sqrt(np.mean(errors**2))), 3),
            **(card or {}),
        },
    )
    return library, Unseen(said[:count], truth[:count])


def _inputs(history: Array, mean: Array, scale: Array) -> Array:
    """Return what networks see at each row of a history (r, n): (r, m)."""
    trajectory = Trajectory(history.shape[1])
    return np.stack([inputs_of(trajectory.update(row), mean, scale) for row in history])


def spread_of(said: Array, truth: Array, levels: Array, near: float, units: int) -> Array:
    """Return the quantiles (levels, chances) of the `truth` (r,) where networks said each level.

    Rows count the more the nearer they are (a triangle of half-width `near`). Chances are moved
    outwards by what as many units leave unknown: conformal quantiles are those of `units` + 1.
    """
    outward = 0.5 + (CHANCES - 0.5) * (1.0 + 1.0 / units)
    found = np.empty((levels.size, CHANCES.size))
    for i, level in enumerate(levels):
        weight = np.maximum(0.0, 1.0 - np.abs(said - level) / near)
        if not weight.any():
            weight = (np.abs(said - level) == np.abs(said - level).min()).astype(np.float64)
        there = weight > 0.0
        order = np.argsort(truth[there], kind="stable")
        heap = np.cumsum(weight[there][order])
        places = np.searchsorted(heap, outward * heap[-1])
        found[i] = truth[there][order][np.minimum(places, order.size - 1)]
    return np.maximum.accumulate(found, axis=1)


def _networks(
    inputs: Array, target: Array, seeds: range, progress: Callable[[int], None]
) -> tuple[Weights, ...]:
    """Return the weights of a network a seed, stacked by layer."""
    trained = []
    for i, seed in enumerate(seeds):
        progress(i)
        trained.append(_network(inputs.astype(np.float32), target.astype(np.float32), seed))
    return tuple(np.stack(layer) for layer in zip(*trained, strict=True))


def _network(inputs: Weights, target: Weights, seed: int) -> list[Weights]:
    """Train one network: squared error of a logistic output, AdamW with a cosine schedule.

    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019. The logistic output
    saturates at the horizon, where there is nothing to tell apart.
    """
    random = np.random.default_rng(seed)
    sizes = (inputs.shape[1], *HIDDEN, 1)
    layers: list[Weights] = []
    for wide, narrow in pairwise(sizes):
        layer = np.zeros((wide + 1, narrow), np.float32)
        layer[:-1] = random.normal(size=(wide, narrow)) * np.sqrt(2.0 / wide)
        layers.append(layer)
    layers[-1] *= np.float32(0.3)
    first = [np.zeros_like(layer) for layer in layers]
    second = [np.zeros_like(layer) for layer in layers]
    batch = min(BATCH, len(inputs))
    batches = len(inputs) // batch
    epochs = max(EPOCHS, -(-LEAST_STEPS // batches))
    steps = epochs * batches
    step = 0
    for _ in range(epochs):
        order = random.permutation(len(inputs))
        for begin in range(0, len(inputs) - batch + 1, batch):
            chosen = order[begin : begin + batch]
            step += 1
            rate = RATE * 0.5 * (1.0 + np.cos(np.pi * step / steps))
            for i, gradient in enumerate(_gradients(layers, inputs[chosen], target[chosen])):
                first[i] += np.float32(0.1) * (gradient - first[i])
                second[i] += np.float32(0.001) * (gradient**2 - second[i])
                size = np.sqrt(second[i] / np.float32(1.0 - 0.999**step)) + np.float32(1e-8)
                change = first[i] / np.float32(1.0 - 0.9**step) / size
                change[:-1] += np.float32(DECAY) * layers[i][:-1]
                layers[i] -= np.float32(rate) * change
    return layers


def _gradients(layers: list[Weights], x: Weights, target: Weights) -> list[Weights]:
    outputs = [x]
    for layer in layers[:-1]:
        outputs.append(np.maximum(outputs[-1] @ layer[:-1] + layer[-1], np.float32(0.0)))
    z = outputs[-1] @ layers[-1][:-1] + layers[-1][-1]
    said = np.float32(1.0) / (np.float32(1.0) + np.exp(-z))
    error = (said - target[:, np.newaxis]) * said * (np.float32(4.0) - np.float32(4.0) * said)
    error /= np.float32(len(x))
    found: list[Weights] = []
    for i in range(len(layers) - 1, -1, -1):
        found.append(np.vstack([outputs[i].T @ error, error.sum(axis=0)]))
        if i:
            error = (error @ layers[i][:-1].T) * (outputs[i] > 0.0)
    return found[::-1]
