"""What changes when one rule file takes the place of another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from stream_processor.rules.rule_file import Rule, RuleFile


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a rule.

    `judged` says whether something else is judged from then on; `fields` has each field that
    changes, as it was and as it will be.
    """

    rule: str
    what: Literal["added", "removed", "changed"]
    judged: bool = True
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def compare(old: RuleFile, new: RuleFile) -> list[Change]:
    """Return what changes, rule by rule, in the order of the new file; what is gone comes last."""
    before = {rule.id: rule for rule in old.rules}
    found = []
    for rule in new.rules:
        known = before.pop(rule.id, None)
        if known is None:
            found.append(Change(rule.id, "added"))
        elif changed := _fields(known, rule):
            found.append(Change(rule.id, "changed", known.fingerprint != rule.fingerprint, changed))
    return [*found, *(Change(name, "removed") for name in before)]


def _fields(old: Rule, new: Rule) -> dict[str, tuple[Any, Any]]:
    one, other = _plain(old), _plain(new)
    found = {
        name: (one.get(name), other.get(name))
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    }
    if not found and old.fingerprint != new.fingerprint:
        found["when"] = ("an operating mode as it was", "the mode as it is declared now")
    return found


def _plain(rule: Rule) -> dict[str, Any]:
    return {**msgspec.to_builtins(rule.table), "mode": "shadow" if rule.shadow else "active"}
