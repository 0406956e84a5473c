"""The scale of the example over a pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.base import BAD, GOOD
from edge_agent.drivers.plugin.examples.serial_scale import (
    CHANNEL,
    Options,
    SerialScale,
    weight_of,
)


@dataclass
class Line:
    """Our end of a serial line."""

    master: int
    slave: int

    @property
    def port(self) -> str:
        return os.ttyname(self.slave)

    def say(self, text: bytes) -> None:
        os.write(self.master, text)


@pytest.fixture
def line() -> Iterator[Line]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield Line(master, slave)
    for end in (master, slave):
        try:
            os.close(end)
        except OSError:
            continue


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"ST,GS,+  12.345kg", (12.345, GOOD)),
        (b"US,NT,-   0.5 kg", (-0.5, GOOD)),
        (b"ST,GS,+ .kg", None),
        (b"S,GS,+  12.345kg", None),
        (b"", None),
    ],
)
def test_lines(text: bytes, said: Any) -> None:
    assert weight_of(text) == said


def test_overload_is_bad() -> None:
    said = weight_of(b"OL,GS,+   kg")
    assert said is not None
    assert np.isnan(said[0])
    assert said[1] == BAD


@given(st.binary(max_size=40))
def test_noise_is_no_weight_or_one(noise: bytes) -> None:
    said = weight_of(noise)
    assert said is None or said[1] in (GOOD, BAD)


async def test_weights_come_as_blocks_noise_is_counted_and_a_pulled_line_is_lost(
    line: Line, listening: Callable[..., Any]
) -> None:
    options = Options(port=line.port, tag="W-1", silent_after_s=3.0, reconnect_s=0.1)
    scale = SerialScale(options)
    taking = listening(scale)

    async def speak() -> None:
        while True:
            for part in (b"ST,GS,+  1", b"2.345kg\r\n", b"\xff\x00garbage\r\n"):
                line.say(part)
                await asyncio.sleep(0.02)

    speaking = asyncio.create_task(speak())
    await taking.until(lambda: len(taking.values(CHANNEL)) >= 2)
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)
    assert set(taking.values(CHANNEL)) == {float(np.float32(12.345))}
    assert scale.unreadable > 0
    os.close(line.master)
    await taking.until(lambda: taking.lost)
    assert taking.lost[0].device == "W-1"


async def test_a_line_that_is_not_there_is_lost(listening: Callable[..., Any]) -> None:
    taking = listening(SerialScale(Options(port="/dev/ttyNowhere9", tag="W-1", reconnect_s=0.1)))
    await taking.until(lambda: taking.lost)
    assert "ttyNowhere9" in taking.lost[0].reason


async def test_a_silent_scale_is_lost(line: Line, listening: Callable[..., Any]) -> None:
    taking = listening(SerialScale(Options(port=line.port, tag="W-1", silent_after_s=0.3)))
    await taking.until(lambda: taking.lost)
    assert taking.lost[0].reason == "nothing heard for 0.3 s"
