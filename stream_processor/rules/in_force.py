"""The rules in force at a place in the log: the starting files, and what came through it since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from stream_processor.messages import Message, SetAside
from stream_processor.rules.checking import LONGEST_TEXT
from stream_processor.rules.problems import Problem, RuleFileError
from stream_processor.rules.rule_file import RuleBook, RuleFile, rule_file, unpack
from stream_processor.v1.dead_letter_pb2 import DeadLetter, DeadLetterReason

SUBJECT: Final = "rules."
# More classes than this are refused: each partition remembers the file of every one.
MOST_CLASSES: Final = 256


def is_rules(subject: str) -> bool:
    """Return whether a message of the log is a rule file."""
    return subject.startswith(SUBJECT)


def set_aside(message: Message) -> SetAside:
    """Return the dead letter of a rule file that was refused."""
    try:
        read(message.subject, message.payload)
        detail = f"there are files of {MOST_CLASSES} classes"
    except RuleFileError as error:
        detail = str(error)
    equipment_class = message.subject.removeprefix(SUBJECT)
    letter = DeadLetter(
        dead_letter_id=f"telemetry-{message.log_sequence}",
        reason=DeadLetterReason.DEAD_LETTER_REASON_INVALID_RULES,
        detail=detail,
        topic=f"rules/{equipment_class}",
        payload=message.payload,
        log_sequence=message.log_sequence,
    )
    letter.receive_time.FromMilliseconds(message.received_ms)
    return SetAside("rules", equipment_class, letter)


def read(subject: str, payload: bytes) -> RuleFile:
    """Return the rule file of a message of the log.

    Raises:
        RuleFileError: it has errors, or is for another class than its subject says.
    """
    if len(payload) > LONGEST_TEXT:
        raise RuleFileError([Problem(0, "", f"it has {len(payload)} bytes, over {LONGEST_TEXT}")])
    try:
        file = rule_file(payload.decode())
    except UnicodeDecodeError as error:
        raise RuleFileError([Problem(0, "", f"it is no UTF-8: {error}")]) from error
    if f"{SUBJECT}{file.equipment_class}" != subject:
        raise RuleFileError(
            [Problem(0, "equipment_class", f"{file.equipment_class!r} came on {subject}")]
        )
    return file


class InForce:
    """The book of a partition of the log; what came through the log is remembered by its text.

    `refused` counts the files of the log that had errors.
    """

    def __init__(self, starting: RuleBook, state: Mapping[str, Any] | None = None) -> None:
        """Begin with the starting files, and those that were remembered.

        One that this code takes for wrong is left to the starting file of its class.
        """
        self._starting = starting
        self._came: dict[str, RuleFile] = {}
        self.refused: int = state["refused"] if state else 0
        for each in state["packed"] if state else ():
            try:
                file = unpack(each)
            except RuleFileError:
                continue
            self._came[file.equipment_class] = file
        self.book = starting.having(*self._came.values())

    def take(self, subject: str, payload: bytes) -> None:
        """Put a rule file of the log in force.

        Raises:
            RuleFileError: it has errors; nothing changes.
        """
        file = read(subject, payload)
        if file.equipment_class not in self._came and len(self._came) >= MOST_CLASSES:
            raise RuleFileError([Problem(0, "", f"there are files of {MOST_CLASSES} classes")])
        self._came[file.equipment_class] = file
        self.book = self._starting.having(*self._came.values())

    def forgotten(self) -> Self:
        """Return the beginning: the log was made anew."""
        return type(self)(self._starting)

    def state(self) -> dict[str, Any]:
        """Return what came through the log."""
        return {
            "packed": tuple(file.packed for file in self._came.values()),
            "refused": self.refused,
        }
