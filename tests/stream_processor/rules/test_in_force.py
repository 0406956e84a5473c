from __future__ import annotations

import pytest

from stream_processor.messages import Message
from stream_processor.rules.in_force import InForce, is_rules, set_aside
from stream_processor.rules.problems import RuleFileError
from stream_processor.rules.rule_file import RuleBook

TEXT = """equipment_class = "{0}"
version = {1}
[[rules]]
id = "edge"
kind = "model_score"
score = "edge"
above = 1
severity = "low"
summary = "the edge says so"
"""


def sent(name: str, version: int) -> tuple[str, bytes]:
    return f"rules.{name}", TEXT.format(name, version).encode()


def test_what_comes_through_the_log_is_in_force_and_remembered() -> None:
    starting = RuleBook.starting()
    rules = InForce(starting)
    assert rules.book.of("fan").version == 1
    before = rules.book
    rules.take(*sent("fan", 7))
    rules.take(*sent("press", 2))
    assert (rules.book.of("fan").version, rules.book.of("press").version) == (7, 2)
    # A message that was tagged keeps the book it was tagged with.
    assert before.of("fan").version == 1

    again = InForce(starting, rules.state())
    assert again.book.of("fan") is rules.book.of("fan")
    assert again.book.of("press") is rules.book.of("press")
    assert again.book.of("conveyor") is starting.of("conveyor")
    assert again.forgotten().book.of("fan") is starting.of("fan")


@pytest.mark.parametrize(
    ("subject", "payload", "why"),
    [
        ("rules.fan", b"version = 1", "`equipment_class` is missing"),
        ("rules.fan", b"\xff\xfe", "no UTF-8"),
        ("rules.fan", sent("pump", 2)[1], "'pump' came on rules.fan"),
        ("rules.fan", b"#" * 70_000, "70000 bytes"),
    ],
)
def test_a_file_with_errors_changes_nothing_and_is_a_dead_letter(
    subject: str, payload: bytes, why: str
) -> None:
    rules = InForce(RuleBook.starting())
    rules.take(*sent("fan", 7))
    with pytest.raises(RuleFileError, match=why):
        rules.take(subject, payload)
    assert rules.book.of("fan").version == 7

    message = Message(subject, payload, 41, 1_700_000_000_000)
    assert is_rules(message.subject)
    aside = set_aside(message)
    assert (aside.reason, aside.letter.dead_letter_id) == ("INVALID_RULES", "telemetry-41")
    assert why in aside.letter.detail
    assert aside.letter.payload == payload
    assert aside.letter.topic == "rules/fan"


def test_the_memory_of_a_partition_is_bounded() -> None:
    rules = InForce(RuleBook())
    for i in range(256):
        rules.take(*sent(f"c{i}", 1))
    with pytest.raises(RuleFileError, match="256 classes"):
        rules.take(*sent("one-more", 1))
    rules.take(*sent("c7", 2))
    assert rules.book.of("c7").version == 2


def test_a_remembered_file_that_is_none_any_more_is_left_out() -> None:
    import zlib

    rules = InForce(RuleBook.starting(), {"packed": (zlib.compress(b"version = 1"),), "refused": 2})
    assert rules.book.of("fan").version == 1
    assert rules.refused == 2
