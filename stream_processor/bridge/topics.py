"""Which topics cross the bridge, in which direction, and under which subject of the log."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from stream_processor.messages import NAMESPACE
from stream_processor.settings import FORBIDDEN_IN_TOPICS

MAX_NAME = 60
NODE_TYPES = ("NBIRTH", "NDATA", "NDEATH")
DEVICE_TYPES = ("DBIRTH", "DDATA", "DDEATH")
# What an edge node says beside Sparkplug.
FLEET_TYPES = ("report", "outcome")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message of the plant belongs, and of whom it is."""

    subject: str
    site: str
    edge_node: str


@dataclass(frozen=True, slots=True)
class Misfit:
    """A topic that says nothing to the log, with what it has of a site and an edge node."""

    detail: str
    site: str
    edge_node: str


def is_name(text: str) -> bool:
    """Return whether a site, an edge node or a device can be called so."""
    return (
        0 < len(text) <= MAX_NAME
        and not FORBIDDEN_IN_TOPICS.intersection(text)
        and text.isprintable()
    )


def upward(sites: Sequence[str], share: str = "") -> list[str]:
    """Return the filters of what goes from the plant to the log.

    Each ends in `#`, so that a topic with too many levels comes and is set aside, not overlooked.
    None matches what `downward` does: nothing can go round.
    """
    prefix = f"$share/{share}/" if share else ""
    filters = []
    for site in sites or ("+",):
        filters += [f"{NAMESPACE}/{site}/{kind}/#" for kind in NODE_TYPES + DEVICE_TYPES]
        filters += [f"headrace/{kind}/{site}/#" for kind in FLEET_TYPES]
    return [prefix + one for one in filters]


def downward(sites: Sequence[str], host_id: str) -> list[str]:
    """Return the filters of what goes from the cloud to the plant."""
    filters = [state_topic(host_id)]
    for site in sites or ("+",):
        filters += [
            f"{NAMESPACE}/{site}/NCMD/+",
            f"{NAMESPACE}/{site}/DCMD/+/+",
            f"headrace/ack/{site}/+",
        ]
    return filters


def state_topic(host_id: str) -> str:
    """Return the topic on which the host says whether it is there."""
    return f"{NAMESPACE}/STATE/{host_id}"


def bridge_topic(title: str) -> str:
    """Return the topic on which the bridge says whether it is there."""
    return f"headrace/bridge/{title}"


def is_command(topic: str) -> bool:
    """Return whether it is one of `downward`'s that must not be kept."""
    return topic.startswith(f"{NAMESPACE}/") and topic.split("/")[2] in ("NCMD", "DCMD")


def subject_of(topic: str) -> str:
    """Return the subject that NATS' MQTT gateway gives a topic whose levels are names."""
    return ".".join(level.replace(".", "//") for level in topic.split("/"))


@lru_cache(maxsize=4096)
def route(topic: str) -> Route | Misfit:
    """Return where a message belongs that came by one of `upward`'s filters."""
    levels = topic.split("/")
    root, names = levels[0], levels[1:]
    if root == NAMESPACE:
        kind = names.pop(1) if len(names) > 1 else ""
        wanted = 2 if kind in NODE_TYPES else 3 if kind in DEVICE_TYPES else 0
        what = "site, edge node" if wanted == 2 else "site, edge node and device"
    else:
        kind = names.pop(0) if names else ""
        wanted = 2 if root == "headrace" and kind in FLEET_TYPES else 0
        what = "site and edge node"
    site, edge_node = map(_readable, [*names, "", ""][:2])
    if not wanted:
        return Misfit(f"{topic} has no meaning", site, edge_node)
    if len(names) != wanted:
        return Misfit(f"{topic} has {len(names)} names where {what} are due", site, edge_node)
    for name in names:
        if not is_name(name):
            return Misfit(
                f"{topic}: {name!r} is no name of at most {MAX_NAME} characters",
                site,
                edge_node,
            )
    return Route(subject_of(topic), site, edge_node)


def _readable(name: str) -> str:
    """Return as much of a name as the subject of a dead letter can hold."""
    return "".join(c if c.isprintable() and not c.isspace() else "_" for c in name[:MAX_NAME])


def message_id(session: str, packet_id: int, topic: str, payload: bytes) -> str:
    """Return the id by which the log knows a message that is delivered again.

    The broker delivers what was not confirmed again under the same packet identifier of the same
    session (MQTT 3.1.1 and 5, 4.4). An edge node's batch number would not do: a batch that the
    processor asks for again must reach it.
    """
    digest = hashlib.blake2b(topic.encode() + b"\0", digest_size=12)
    digest.update(payload)
    return f"{session}-{packet_id}-{digest.hexdigest()}"
