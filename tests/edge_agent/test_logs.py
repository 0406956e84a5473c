"""Logs: the newest troubles are remembered, and the level can change while the agent runs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from edge_agent import logs


@pytest.fixture(autouse=True)
def json_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HEADRACE_LOG_FORMAT", "json")
    yield
    structlog.reset_defaults()


def test_a_level_counts_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    log = structlog.get_logger("test")
    logs.configure()
    log.debug("one")
    logs.set_level("debug")
    log.debug("two")
    logs.set_level("error")
    log.warning("three")

    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["two"]


def test_there_are_four_levels() -> None:
    with pytest.raises(ValueError, match="'loud' is none of debug, info, warning, error"):
        logs.set_level("loud")


def test_the_newest_troubles_are_kept_newest_first() -> None:
    logs.configure()
    log = structlog.get_logger("test")
    for n in range(30):
        log.warning("trouble", reason=f"number {n}")
        log.info("nothing")

    found = logs.troubles()

    assert len(found) == 20
    assert (found[0]["level"], found[0]["reason"]) == ("warning", "number 29")
