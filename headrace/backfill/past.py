"""What was said before a range of the log that is needed to read it: births, and rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from stream_processor.acquisition import Acquisition
from stream_processor.messages import Message
from stream_processor.rules import in_force
from stream_processor.rules.in_force import is_rules
from stream_processor.rules.problems import RuleFileError
from stream_processor.rules.rule_file import RuleFile
from stream_processor.sparkplug import BadInputError


@dataclass
class Past:
    """Births and deaths, and rule files, from before the range in the order of the log.

    `later` has of each edge node the births that were first heard of in the range or after it,
    with their boot epoch: the log forgets, and an agent says the same of a boot each time.
    `files` are all rule files that are or come in force.
    """

    births: list[Message] = field(default_factory=list)
    rules: list[Message] = field(default_factory=list)
    later: dict[str, list[tuple[int | None, Message]]] = field(default_factory=dict)
    files: list[RuleFile] = field(default_factory=list)


def past(messages: Iterable[Message], start_ms: float) -> Past:
    """Return what of the births, deaths and rule files of a whole log is needed from `start_ms` on.

    That is a time of the log, in milliseconds since the epoch.
    """
    found = Past()
    heard: set[str] = set()
    nodes: dict[str, Acquisition] = {}
    for message in messages:
        before = message.received_ms < start_ms
        if is_rules(message.subject):
            try:
                found.files.append(in_force.read(message.subject, message.payload))
            except RuleFileError:
                continue
            if before:
                found.rules.append(message)
            continue
        node = nodes.setdefault(message.node_key, Acquisition())
        try:
            node.acquaint(message)
        except BadInputError:
            # It was no use then either.
            continue
        if before:
            found.births.append(message)
        elif message.topic not in heard and message.levels[1].endswith("BIRTH"):
            later = found.later.setdefault(message.node_key, [])
            later.append((node.births.boot_epoch, message))
        heard.add(message.topic)
    return found
