"""Values on their way to a device: nothing outside the gateway file's limits gets there."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.drivers.base import Block, Device, Lost, WriteError
from edge_agent.writes import RefusedError, Writes, WriteTable


class Machine:
    """A driver of one device that remembers what it was told."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, Any]] = []
        self.refuses = False

    def devices(self) -> Sequence[Device]:
        return [Device("M-1", "m", "p", ())]

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        yield Lost("M-1", "")

    async def close(self) -> None: ...

    def writable(self, device: str) -> Mapping[str, str]:
        return {"Speed": "1/min", "Open": "", "Recipe": ""}

    async def write(self, device: str, name: str, value: float | bool | str) -> None:
        if self.refuses:
            raise WriteError("the key is turned off")
        self.written.append((device, name, value))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def table(**given: Any) -> WriteTable:
    limits = {"minimum": 0.0, "maximum": 100.0} if given.get("kind", "number") == "number" else {}
    return msgspec.convert(
        {"device": "M-1", "name": "Speed", **limits, **given}, WriteTable, strict=True
    )


def writes(*tables: WriteTable) -> tuple[Writes, Machine, Clock]:
    machine, clock = Machine(), Clock()
    return Writes(tables, {"M-1": machine}, clock), machine, clock


@settings(deadline=None)
@given(value=st.floats(), low=st.floats(-1e6, 1e6), span=st.floats(0, 1e6))
async def test_no_number_outside_the_limits_gets_through(
    value: float, low: float, span: float
) -> None:
    limited, machine, _ = writes(table(minimum=low, maximum=low + span))
    try:
        await limited.write("M-1", "Speed", value)
    except RefusedError:
        assert not (math.isfinite(value) and low <= value <= low + span)
    else:
        assert machine.written == [("M-1", "Speed", value)]
        assert low <= value <= low + span


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
async def test_no_step_is_larger_than_allowed(values: list[float]) -> None:
    limited, machine, _ = writes(table(max_step=10.0))
    limited.seen(Block("M-1", 0, {"Speed": np.array([np.nan, 50.0])}))
    for value in values:
        with contextlib.suppress(RefusedError):
            await limited.write("M-1", "Speed", value)
    path = [50.0, *(value for _, _, value in machine.written)]
    assert all(abs(b - a) <= 10 for a, b in pairwise(path))


async def test_steps_count_from_what_the_device_shows() -> None:
    limited, machine, _ = writes(table(max_step=10.0))
    await limited.write("M-1", "Speed", 90.0)
    # Somebody turned it down by hand; a missing sample changes nothing.
    limited.seen(Block("M-1", 0, {"Speed": np.array([20.0])}))
    limited.seen(Block("M-1", 0, {"Speed": np.array([np.nan])}))
    limited.seen(Block("M-1", 0, {}))
    with pytest.raises(RefusedError, match="85 is 65 1/min from 20"):
        await limited.write("M-1", "Speed", 85.0)
    await limited.write("M-1", "Speed", 25.0)
    assert len(machine.written) == 2


async def test_writes_keep_their_distance_also_after_one_that_failed() -> None:
    limited, machine, clock = writes(table(min_interval_s=5.0))
    machine.refuses = True
    with pytest.raises(WriteError, match="key is turned off"):
        await limited.write("M-1", "Speed", 1.0)
    machine.refuses = False
    clock.now += 4.0
    with pytest.raises(RefusedError, match="too soon after the last write, wait"):
        await limited.write("M-1", "Speed", 2.0)
    clock.now += 1.0
    assert await limited.write("M-1", "Speed", 3.0) == 3.0


@pytest.mark.parametrize(
    ("kind", "value", "becomes"),
    [
        ("boolean", True, True),
        ("boolean", 1, True),
        ("boolean", 0.0, False),
        ("boolean", 2, None),
        ("boolean", "true", None),
        ("number", 3, 3.0),
        ("number", True, None),
        ("number", "3", None),
        ("number", math.inf, None),
        ("text", "red", "red"),
        ("text", 3, None),
    ],
)
async def test_a_value_is_of_its_kind(kind: str, value: Any, becomes: Any) -> None:
    limited, machine, _ = writes(table(kind=kind))
    if becomes is None:
        with pytest.raises(RefusedError, match=f"is no {kind}"):
            await limited.write("M-1", "Speed", value)
        assert machine.written == []
    else:
        written = await limited.write("M-1", "Speed", value)
        assert (written, type(written)) == (becomes, type(becomes))


async def test_what_is_not_listed_is_not_writable() -> None:
    limited, machine, _ = writes(table())
    for device, name in (("M-1", "Open"), ("M-2", "Speed"), ("", "")):
        with pytest.raises(RefusedError, match="may not be written to"):
            await limited.write(device, name, 1.0)
    assert machine.written == []


async def test_a_birth_declares_points_with_their_limits() -> None:
    limited, _, _ = writes(table(), table(name="Open", kind="boolean"))
    await limited.write("M-1", "Open", True)
    speed, opened = limited.points("M-1")
    assert (speed.name, speed.unit, speed.minimum, speed.maximum) == ("Speed", "1/min", 0, 100)
    assert (opened.name, opened.value, opened.minimum) == ("Open", True, None)
    assert limited.points("M-2") == []
    assert limited.devices == ["M-1"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"minimum": None}, "needs `minimum` and `maximum`, or `allowed`"),
        ({"minimum": 101.0}, "minimum: 101 is above maximum 100"),
        ({"maximum": math.inf}, "must be finite"),
        ({"kind": "text", "minimum": 0.0}, "a text has no minimum"),
        ({"kind": "text", "max_step": 1.0}, "a text has no minimum"),
        ({"allowed": ["a"]}, "allowed: not every value is a number"),
        ({"kind": "boolean", "allowed": [1.0]}, "allowed: not every value is a boolean"),
        ({"max_step": -1.0}, "max_step"),
    ],
)
def test_what_is_no_limit_says_why(given: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        table(**given)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ([table(device="M-7")], r"writes\[0\].device: no driver has 'M-7'"),
        ([table(name="Height")], r"writes\[0\].name: 'Height' is none of .*Speed, Open, Recipe"),
        ([table(), table()], r"writes\[1\].name: 'Speed' is listed twice"),
    ],
)
def test_what_cannot_be_bound_says_where(tables: list[WriteTable], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        writes(*tables)
