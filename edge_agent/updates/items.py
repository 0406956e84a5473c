"""What a site's rollouts ask of one gateway; pure, the shape is in docs/contracts.md."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge_agent.updates import NAME
from edge_agent.updates.store import Kind, Refusal, Slot

Name = Annotated[str, Meta(pattern=NAME)]
_REVERTED: Final = "the rollout was reverted"


class ItemsError(ValueError):
    """The rollouts of a site cannot be read."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One rollout: a version of a model or a configuration for a share of a group.

    Fields that a newer cloud adds are passed over.
    """

    rollout: str
    kind: Kind
    version: Name
    state: Literal["rolling", "paused", "halted", "reverted"]
    group: str
    percent: Annotated[float, Meta(ge=0, le=100)]
    salt: str
    equipment_class: Annotated[str, Meta(pattern=NAME)] | None = None
    name: Annotated[str, Meta(pattern=NAME)] | None = None
    previous_version: Annotated[str, Meta(pattern=rf"^$|{NAME}")] = ""

    def __post_init__(self) -> None:
        if not self.subject:
            raise ValueError("a model has an equipment_class, a configuration a name")

    @property
    def subject(self) -> str:
        """The equipment class of a model, the name of a configuration."""
        return (self.equipment_class if self.kind == "model" else self.name) or ""

    def applies(self, edge_node: str, group: str) -> bool:
        """Say whether this gateway is in the group and in the share that it has reached."""
        return self.group == group and place(self.salt, edge_node) < self.percent


def place(salt: str, edge_node: str) -> int:
    """Return a gateway's place in a rollout, 0 to 99: the same at every stage of it."""
    digest = hashlib.sha256(f"{salt}/{edge_node}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100


def read(content: bytes) -> list[Item]:
    """Read a site's rollouts.

    Raises:
        ItemsError: they are not what docs/contracts.md says.
    """
    try:
        return msgspec.json.decode(content, type=list[Item])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ItemsError(f"rollouts: {error}") from error


def chosen(
    items: Iterable[Item],
    edge_node: str,
    group: str,
    configuration: str,
    slot_of: Callable[[Kind, str], Slot],
) -> list[Item]:
    """Return the items to follow, one of each model and of the configuration.

    That is the last one that applies. One that no longer rolls concerns who has its version, or has
    to come back from it; everybody else follows the one before it.
    """
    found: dict[tuple[Kind, str], Item] = {}
    for item in items:
        wanted = item.kind == "model" or item.subject == configuration
        if wanted and item.applies(edge_node, group):
            slot = slot_of(item.kind, item.subject)
            if item.state == "rolling" or _has(slot, item) or installs(item, slot):
                found[item.kind, item.subject] = item
    return list(found.values())


def installs(item: Item, slot: Slot) -> str:
    """Return the version that an item asks for and the gateway neither has nor tries, or none."""
    if item.state == "rolling":
        wanted = item.version
    elif item.state == "reverted" and _was_refused(slot, item):
        wanted = item.previous_version
    else:
        return ""
    has = any(
        have is not None and (have.version, have.rollout) == (wanted, item.rollout)
        for have in (slot.current, slot.trial)
    )
    if item.state == "reverted" and slot.current is not None and slot.current.version == wanted:
        has = True
    return "" if has else wanted


def takes_back(item: Item, slot: Slot) -> bool:
    """Say whether an item takes back what the gateway has or tries."""
    return item.state == "reverted" and _has(slot, item)


def taken_back(item: Item, slot: Slot, now_ms: int) -> Slot:
    """Return a slot without the version of an item, with the one before it as far as it is here."""
    if slot.trial is not None and slot.trial.version == item.version:
        slot = slot.dropped(_REVERTED, now_ms)
    current, previous = slot.current, slot.previous
    if current is None or current.version != item.version:
        return slot
    # It may have come by another rollout than the one that is reverted.
    taken = msgspec.structs.replace(current, rollout=item.rollout)
    return Slot(
        current=previous if item.previous_version else None,
        refused=Refusal.of(taken, _REVERTED, now_ms),
    )


def _has(slot: Slot, item: Item) -> bool:
    return any(
        have is not None and have.version == item.version for have in (slot.current, slot.trial)
    )


def _was_refused(slot: Slot, item: Item) -> bool:
    refused = slot.refused
    return refused is not None and (refused.version, refused.rollout) == (
        item.version,
        item.rollout,
    )
