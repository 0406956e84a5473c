"""The laws that every model is held to (`stream_processor.models.detector`).

As River's and scikit-learn's checks of estimators do: `models` finds every class there is, so that
none is forgotten, and each check raises `AssertionError` with what is broken. A model is driven
through rows of standard normal numbers, which its `Driven` turns into observations of its own kind.
"""

from __future__ import annotations

import pickle
import pkgutil
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from inspect import getmembers, isclass
from typing import Any, cast
from unittest import mock

import numpy as np
import numpy.typing as npt

from stream_processor.models.detector import Model
from stream_processor.schema import StateError

Array = npt.NDArray[np.float64]

# Rows after which every model is warm, and rows of a stretch that is judged.
WARM = 600
STRETCH = 25
# How far from usual the rows of an anomaly are, in standard deviations.
ANOMALY = 4.0
STRETCHES = 30
LEAST_AREA = 0.9


@dataclass(frozen=True)
class Driven:
    """How a model is driven: `observe` gives it a row and returns one score, `learn` a usual row.

    Scores lie between 0 and `most`; a row has `width` numbers. `learn` takes the row that was
    observed last, and is None of a model that learns what it observes. `learnt` are the keys of the
    state, or of the `parts` of it, that only learning may change. `bytes_a_series` bounds the
    pickled state by the width of a row; `traces` is by how much later scores may differ when a row
    was no numbers, as a share.
    """

    new: Callable[[], Model]
    observe: Callable[[Any, Array], float]
    learn: Callable[[Any, Array], None] | None
    width: int
    bytes_a_series: int
    most: float = float("inf")
    pure: bool = False
    learnt: tuple[str, ...] = ()
    parts: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    traces: float = 0.0
    broken: tuple[float, ...] = field(default=(np.nan, np.inf, -np.inf))

    def step(self, model: Model, row: Array) -> float:
        """Observe a row and learn it."""
        score = self.observe(model, row)
        if self.learn is not None:
            self.learn(model, row)
        return score

    def warm(self, seed: int = 1) -> Model:
        """Return a model that has learnt usual rows."""
        model = self.new()
        for row in rows(WARM, self.width, seed):
            self.step(model, row)
        return model


def rows(count: int, width: int, seed: int) -> Array:
    """Return usual rows (count, width)."""
    return np.random.default_rng(seed).normal(size=(count, width))


def models() -> list[type[Model]]:
    """Return every class of the package that has a state."""
    found: set[type[Model]] = set()
    package = import_module("stream_processor.models")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if module.name.rpartition(".")[2] == "detector":
            continue
        for _, kind in getmembers(import_module(module.name), isclass):
            if hasattr(kind, "restore") and kind.__module__ == module.name:
                found.add(cast("type[Model]", kind))
    return sorted(found, key=lambda kind: kind.__qualname__)


def written(model: Model) -> bytes:
    """Return the state of a model as a snapshot has it."""
    return pickle.dumps(model.state(), pickle.HIGHEST_PROTOCOL)


def again(model: Model) -> Model:
    """Return a model that goes on from the state of another."""
    return type(model).restore(pickle.loads(written(model)))


def check_scores(driven: Driven) -> None:
    """Scores are numbers in their range, from the first on and of whatever comes."""
    model = driven.new()
    usual = rows(WARM, driven.width, 2)
    for i, row in enumerate([*usual, *(100.0 * usual[:50]), *np.zeros((50, driven.width))]):
        score = driven.step(model, row)
        assert np.isfinite(score), f"row {i} scores {score}"
        assert 0.0 <= score <= driven.most, f"row {i} scores {score}"


def check_warm_up(driven: Driven) -> None:
    """A model that knows nothing accuses nobody."""
    model = driven.new()
    first = driven.observe(model, rows(1, driven.width, 3)[0] + 10.0)
    assert first == 0.0 or not getattr(model, "ready", True), f"the first row scores {first}"
    assert getattr(driven.warm(), "ready", True), f"it is not ready after {WARM} rows"


def check_scoring_teaches_nothing(driven: Driven) -> None:
    """What is observed and not learnt leaves what was learnt as it is, and a detector all of it."""
    model = driven.warm()
    before, whole = driven.parts(pickle.loads(written(model))), written(model)
    anomalies = rows(STRETCH, driven.width, 4) + ANOMALY
    scores = [driven.observe(model, row) for row in anomalies]
    if driven.pure:
        assert written(model) == whole, "scoring changed the state"
        assert scores == [driven.observe(model, row) for row in anomalies]
    after = driven.parts(model.state())
    for key in driven.learnt:
        assert np.array_equal(before[key], after[key]), f"{key} changed without learning"


def check_determinism(driven: Driven) -> None:
    """The same rows make the same state, whatever the clock says and others draw."""
    states = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        drawn = random.getstate(), pickle.dumps(np.random.get_state())
        with _no_clock():
            model = driven.warm()
        assert drawn == (random.getstate(), pickle.dumps(np.random.get_state())), (
            "it draws from a generator that all share"
        )
        states.append(written(model))
    assert states[0] == states[1], "two models that saw the same differ"


def check_state_goes_on(driven: Driven, seen: int, seed: int) -> None:
    """A model goes on from its state after `seen` rows as if nothing had happened."""
    model = driven.new()
    usual = rows(seen + STRETCH, driven.width, seed)
    usual[seen + STRETCH // 2 :] += ANOMALY
    for row in usual[:seen]:
        driven.step(model, row)
    other = again(model)
    assert written(other) == written(model), "the state of the state is another"
    for i, row in enumerate(usual[seen:]):
        ours, theirs = driven.step(model, row), driven.step(other, row)
        assert ours == theirs, f"row {i} after the restore scores {theirs}, not {ours}"
    assert written(other) == written(model)


def check_state_is_plain(driven: Driven) -> None:
    """The state has a schema, and nothing but built-in values and arrays of numbers."""
    state = driven.warm().state()
    assert type(state["schema"]) is int
    for path, value in _leaves(state, ""):
        if isinstance(value, np.ndarray):
            assert value.dtype.kind in "biuf", f"{path} is of {value.dtype}"
            assert value.base is None, f"{path} drags a larger array along"
        else:
            assert type(value) in (bool, int, float, str, bytes, type(None)), (
                f"{path} is a {type(value).__name__}"
            )


def check_state_is_apart(driven: Driven) -> None:
    """Models that go on from one state share nothing with it, nor with one another."""
    model = driven.warm()
    state = pickle.loads(written(model))
    kept = pickle.dumps(state)
    first = type(model).restore(state)
    for row in rows(STRETCH, driven.width, 5):
        driven.step(first, row)
    assert pickle.dumps(state) == kept, "what goes on from a state changes it"
    assert written(type(model).restore(state)) == written(model)


def check_other_schemas(driven: Driven) -> None:
    """A state of newer code is refused in so many words, and so is one without a version."""
    model = driven.warm()
    state = model.state()
    for schema, what in ((state["schema"] + 1, "run the version that wrote it"), (None, "schema")):
        said = ""
        try:
            type(model).restore({**state, "schema": schema})
        except StateError as error:
            said = str(error)
        assert what in said, f"of a state with schema {schema} it says {said!r}"


def check_what_is_no_number(driven: Driven) -> None:
    """Rows that are no numbers, in part or as a whole, leave no trace in later scores."""
    usual = rows(STRETCH, driven.width, 6)
    clean = driven.warm()
    expected = [driven.step(clean, row) for row in usual]
    for value in driven.broken:
        for width in (driven.width, 1):
            model = driven.warm()
            row = rows(1, driven.width, 7)[0]
            row[-width:] = value
            if width == driven.width:
                # As the first that it sees, too.
                fresh = driven.new()
                assert np.isfinite(driven.step(fresh, row))
                assert np.isfinite([driven.step(fresh, row) for row in usual]).all()
            score = driven.step(model, row)
            assert np.isfinite(score), f"{value} scores {score}"
            if width == driven.width:
                found = [driven.step(model, row) for row in usual]
                assert np.allclose(found, expected, rtol=driven.traces, atol=driven.traces), (
                    f"{value} left a trace: {np.abs(np.subtract(found, expected)).max()}"
                )
            else:
                assert np.isfinite([driven.step(model, row) for row in usual]).all()


def check_size(driven: Driven) -> None:
    """The state does not grow with what was seen, and is as small as was said."""
    sizes = []
    model = driven.new()
    for i, row in enumerate(rows(10_000, driven.width, 8), 1):
        driven.step(model, row)
        if i in (10, 1_000, 10_000):
            sizes.append(len(written(model)))
    assert max(sizes) <= sizes[0] + 64, f"the state grows: {sizes} bytes"
    bound = driven.bytes_a_series * driven.width
    assert max(sizes) <= bound, f"the state has {max(sizes)} bytes, over {bound}"


def check_anomalies(driven: Driven) -> None:
    """Stretches of an anomaly score higher than usual ones: the area under the curve."""
    model = driven.warm()
    highest: list[list[float]] = [[], []]
    for seed in range(STRETCHES):
        for which, shift in enumerate((0.0, ANOMALY)):
            other = again(model)
            stretch = rows(STRETCH, driven.width, 1000 + seed) + shift
            highest[which].append(max(driven.observe(other, row) for row in stretch))
    usual, strange = map(np.array, highest)
    area = (strange[:, None] > usual).mean() + 0.5 * (strange[:, None] == usual).mean()
    assert area >= LEAST_AREA, f"an anomaly scores higher with a chance of {area:.2f}"


CHECKS: tuple[Callable[[Driven], None], ...] = (
    check_scores,
    check_warm_up,
    check_scoring_teaches_nothing,
    check_determinism,
    check_state_is_plain,
    check_state_is_apart,
    check_other_schemas,
    check_what_is_no_number,
    check_size,
    check_anomalies,
)
"""Every law; `check_state_goes_on` besides, at any point that is asked for."""


@contextmanager
def _no_clock() -> Iterator[None]:
    checked = threading.get_ident()

    def broken(clock: Callable[[], float]) -> Callable[[], float]:
        def tell() -> float:
            # Other threads of the process may ask.
            assert threading.get_ident() != checked, "it asks what time it is"
            return clock()

        return tell

    with (
        mock.patch.object(time, "time", broken(time.time)),
        mock.patch.object(time, "monotonic", broken(time.monotonic)),
        mock.patch.object(time, "perf_counter", broken(time.perf_counter)),
    ):
        yield


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) in (str, int), f"{path} has a key of {type(key).__name__}"
            yield from _leaves(item, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _leaves(item, f"{path}/{i}")
    else:
        yield path, value
