from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stream_processor
from stream_processor.schema import Schema, State, StateError


def adding(name: str) -> Any:
    return lambda state: {**state, name: []}


@settings(deadline=None)
@given(version=st.integers(1, 9), kept=st.integers(0, 8), found=st.integers(-2, 12))
def test_each_version_that_is_read_ends_with_what_the_versions_since_have(
    version: int, kept: int, found: int
) -> None:
    oldest = max(1, version - kept)
    schema = Schema(
        "a test", version, {v: adding(f"since {v + 1}") for v in range(oldest, version)}
    )
    state: State = {"schema": found, "own": 1}
    if oldest <= found <= version:
        since = {f"since {v}": [] for v in range(found + 1, version + 1)}
        assert schema.current(state) == {"schema": version, "own": 1, **since}
    else:
        what = "run the version that wrote it" if found > version else "run a version in between"
        with pytest.raises(StateError, match=f"of a test has schema {found}.*{what}"):
            schema.current(state)
    assert state == {"schema": found, "own": 1}


@pytest.mark.parametrize("state", [{}, {"schema": None}, {"schema": "2"}])
def test_a_state_that_says_no_schema_is_refused(state: State) -> None:
    with pytest.raises(StateError, match="says no schema"):
        Schema("a test").current(state)


@pytest.mark.parametrize(
    "steps", [{1: adding("a")}, {3: adding("a")}, {1: adding("a"), 3: adding("b")}]
)
def test_a_schema_without_a_step_is_found_where_it_is_written(steps: Any) -> None:
    with pytest.raises(ValueError, match="needs one"):
        Schema("a test", 3, steps)


def test_no_two_schemas_have_a_name() -> None:
    found: dict[str, set[int]] = {}
    for module in pkgutil.walk_packages(stream_processor.__path__, "stream_processor."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Schema):
                found.setdefault(value.name, set()).add(id(value))
    assert "acquisition" in found
    assert all(len(schemas) == 1 for schemas in found.values()), found
