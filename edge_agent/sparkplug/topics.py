"""Topics of the Sparkplug namespace and of the acknowledgement."""

from __future__ import annotations

import re
from typing import Final

NAMESPACE: Final = "spBv1.0"
_FORBIDDEN: Final = re.compile(r"[/+#.*>\s]")


class TopicNameError(ValueError):
    """A site, edge node or device has a name that no topic can hold."""


def check_name(what: str, name: str) -> str:
    """Return `name` when a topic and a subject can hold it.

    Raises:
        TopicNameError: it is empty, or holds `/ + # . * >` or white space.
    """
    if not name or _FORBIDDEN.search(name):
        raise TopicNameError(
            f"{what}: {name!r} may not be empty nor hold any of / + # . * > or space"
        )
    return name


def topic(site: str, kind: str, edge_node: str, device: str | None = None) -> str:
    """Return the topic of a message, such as `spBv1.0/{site}/DDATA/{edge_node}/{device}`."""
    base = f"{NAMESPACE}/{site}/{kind}/{edge_node}"
    return base if device is None else f"{base}/{device}"


def acknowledgement_topic(site: str, edge_node: str) -> str:
    """Return the topic on which the cloud acknowledges (docs/contracts.md)."""
    return f"headrace/ack/{site}/{edge_node}"


def outcome_topic(site: str, edge_node: str) -> str:
    """Return the topic on which an agent answers commands (docs/contracts.md)."""
    return f"headrace/outcome/{site}/{edge_node}"


def state_topic(host_id: str) -> str:
    """Return the topic on which a host application says whether it is online."""
    return f"{NAMESPACE}/STATE/{host_id}"
