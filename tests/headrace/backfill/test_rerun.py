"""Messages through acquisition and stages once more, by the clock of the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace.backfill.past import Past, past
from headrace.backfill.rerun import Outcome, Rerun
from headrace.rule_testing import Front
from stream_processor.messages import Message
from stream_processor.rules.rule_file import RuleBook, rule_file

# What the log stored, apart from when the machine measured.
STORED_MS = 1_800_000_000_000


class Script:
    """Messages of one machine, each stored at a second after the range began."""

    def __init__(self, births: Any, measured: Any) -> None:
        self._births, self._measured = births, measured
        self.messages: list[Message] = []

    def say(self, kind: str, payload: bytes, at: float) -> None:
        machine = ".R-1" if kind.startswith("D") else ""
        root = "tele.0" if machine else "spBv1//0"
        self.put(f"{root}.riverside.{kind}.gw-1{machine}", payload, at)

    def put(self, subject: str, payload: bytes, at: float) -> None:
        stored_ms = STORED_MS + round(at * 1000)
        self.messages.append(Message(subject, payload, len(self.messages) + 1, stored_ms))

    def born(self, at: float, **what: int) -> None:
        node, device = self._births(**what)
        self.say("NBIRTH", node, at)
        self.say("DBIRTH", device, at)

    def measured(
        self, batch: int, heat: float, at: float, boot_epoch: int = 1, **also: int
    ) -> None:
        second = also.get("second", batch)
        self.say("DDATA", self._measured(heat, boot_epoch, batch, second), at)

    def run(self, text: str, until: float = 1e6) -> Outcome:
        known = past([m for m in self.messages if "DDATA" not in m.subject], STORED_MS)
        tried = {"test_rig": rule_file(text)}
        rerun = Rerun(STORED_MS, known, RuleBook(), tried)
        for message in self.messages:
            if message.received_ms >= STORED_MS:
                rerun.take(message)
        return rerun.finish(STORED_MS + round(until * 1000))


@pytest.fixture
def script(births: Any, measured: Any) -> Script:
    return Script(births, measured)


def test_the_order_of_batches_begins_with_the_first_that_comes(
    script: Script, file: Callable[..., str]
) -> None:
    script.born(-100, first=3)
    for batch in range(5000, 5005):
        script.measured(batch, 90, batch - 5000)

    found = script.run(file())
    assert (found.counts["frames"], found.counts["lost"], found.waiting) == (5, 0, 0)
    assert len(found.now) == 1


def test_gaps_are_given_up_by_the_clock_of_the_log(
    script: Script, file: Callable[..., str]
) -> None:
    script.born(-100)
    script.measured(1, 90, 0)
    # Two is missing: what follows waits for it for five minutes.
    script.measured(3, 90, 1)
    script.measured(4, 90, 61)

    assert script.run(file(), until=61.5).waiting == 2
    found = script.run(file(), until=400)
    assert (found.waiting, found.counts["lost"], found.counts["frames"]) == (0, 1, 3)
    assert len(found.now) == 1


def test_what_has_no_birth_would_be_a_dead_letter(script: Script, file: Callable[..., str]) -> None:
    script.measured(1, 90, 0)
    assert script.run(file(), until=11).waiting == 1
    found = script.run(file(), until=13)
    assert (found.waiting, found.dead_letters) == (0, {"NO_BIRTH": 1})


def test_a_birth_of_another_boot_is_not_taken_for_one_that_is_forgotten(
    script: Script, file: Callable[..., str]
) -> None:
    script.measured(7, 90, 0)
    script.born(100, boot_epoch=2, alias=5)
    assert script.run(file()).dead_letters == {"NO_BIRTH": 1}


def test_a_later_birth_of_the_same_boot_is_learnt_when_none_is_known(
    script: Script, file: Callable[..., str]
) -> None:
    for batch in range(7, 11):
        script.measured(batch, 90, batch)
    script.born(100)
    found = script.run(file())
    assert (found.counts["frames"], found.waiting, len(found.now)) == (4, 0, 1)


def test_late_blocks_are_judged_by_nothing(script: Script, file: Callable[..., str]) -> None:
    script.born(-1)
    script.measured(1, 20, 0, second=100)
    for batch in range(2, 6):
        script.measured(batch, 90, batch, second=batch)
    script.measured(6, 20, 7, second=101)

    found = script.run(file())
    assert (found.counts["late_frames"], found.observations, found.now) == (4, 2, [])


def test_a_stage_that_fails_is_a_dead_letter_and_the_rest_goes_on(
    script: Script, file: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script.born(-1)
    for batch, heat in enumerate((90, 90, -1, 90, 90), 1):
        script.measured(batch, heat, batch)
    feed = Front.feed

    def failing(self: Front, frame: Any) -> Any:
        if frame.samples["Heat"][0] < 0:
            raise ValueError("as the test said")
        return feed(self, frame)

    monkeypatch.setattr(Front, "feed", failing)
    found = script.run(file())
    assert found.dead_letters == {"STAGE_FAILED": 1}
    assert (found.observations, len(found.now)) == (4, 1)


def test_the_past_is_what_the_log_says_before_the_range(
    script: Script, file: Callable[..., str]
) -> None:
    script.put("rules.test_rig", file(1).encode(), -30)
    script.put("rules.test_rig", b"no rules", -20)
    script.born(-10)
    script.say("NDEATH", b"\xff\xff", -5)
    script.born(10)
    script.put("rules.test_rig", file(2).encode(), 20)

    found: Past = past(script.messages, STORED_MS)
    assert [m.log_sequence for m in found.births] == [3, 4]
    assert [m.log_sequence for m in found.rules] == [1]
    assert [f.version for f in found.files] == [1, 2]
    assert found.later == {}
    later = past(script.messages[4:], STORED_MS).later
    assert [(epoch, m.log_sequence) for epoch, m in later["riverside/gw-1"]] == [(1, 6), (1, 7)]
