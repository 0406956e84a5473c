"""What the gateways of a site shall have, as the update repository tells it; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from erp_modules.fleet.rollout_states import RolloutState

_TOLD = {
    RolloutState.ROLLING: "rolling",
    RolloutState.COMPLETED: "rolling",
    RolloutState.PAUSED: "paused",
    RolloutState.HALTED: "halted",
    RolloutState.REVERTED: "reverted",
}


@dataclass(frozen=True)
class Wanted:
    """A rollout as far as gateways are concerned; `percent` is what its stage has reached."""

    rollout: str
    kind: str  # model, configuration
    subject: str
    version: str
    previous_version: str
    groups: tuple[str, ...]
    percent: float
    salt: str
    state: RolloutState


def document(rollouts: Sequence[Wanted]) -> bytes:
    """Return `rollouts/{site}.json` (docs/contracts.md) of rollouts in the order they began.

    What nobody can follow any more is left out: everything before the last one that reaches every
    gateway of a group and still rolls.
    """
    items = [
        {
            "rollout": one.rollout,
            "kind": one.kind,
            ("equipment_class" if one.kind == "model" else "name"): one.subject,
            "version": one.version,
            "previous_version": one.previous_version,
            "group": group,
            "percent": one.percent,
            "salt": one.salt,
            "state": _TOLD[one.state],
        }
        for one, group in _followed(rollouts)
    ]
    return json.dumps(items, ensure_ascii=False, indent=1).encode()


def _followed(rollouts: Sequence[Wanted]) -> Iterable[tuple[Wanted, str]]:
    kept: list[tuple[Wanted, str]] = []
    covered: set[tuple[str, str, str]] = set()
    for one in reversed(rollouts):
        if one.state not in _TOLD:
            continue
        for group in reversed(one.groups):
            key = (one.kind, one.subject, group)
            if key in covered:
                continue
            kept.append((one, group))
            # One that no longer rolls concerns only who has its version: the others follow the
            # one before it, which may be reverted in its turn.
            if one.percent >= 100 and _TOLD[one.state] == "rolling":
                covered.add(key)
    return reversed(kept)
