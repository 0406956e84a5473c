"""Which gateways a stage of a rollout takes; pure.

A gateway's place is a hash of the rollout's salt and its name, so that the gateway itself finds out
whether a stage has reached it, and that every stage holds those of the stages before.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence

PLACES = 100
# Work that looking for a salt may take: hashes.
_HASHES = 200_000


def place(salt: str, edge_node: str) -> int:
    """Return a gateway's place, 0 to 99 (docs/contracts.md, The update repository).

    >>> place("r1", "edge-01") == place("r1", "edge-01")
    True
    """
    digest = hashlib.sha256(f"{salt}/{edge_node}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % PLACES


def share(percent: float, total: int) -> int:
    """Return how many of `total` gateways a stage may take: rounded up, so that there is one.

    >>> share(1, 30), share(10, 30), share(100, 30), share(1, 0)
    (1, 3, 30, 0)
    """
    return math.ceil(total * percent / 100)


def taken(salt: str, percent: float, edge_nodes: Iterable[str]) -> list[str]:
    """Return the gateways that a share takes."""
    return [node for node in edge_nodes if place(salt, node) < percent]


def bounded(salt: str, percent: float, edge_nodes: Sequence[str]) -> float:
    """Return the largest percentage up to `percent` that takes no more than its share.

    Places are chance: without this a stage of 1 % could take 3 % of the gateways there are.
    """
    most = share(percent, len(edge_nodes))
    places = sorted(place(salt, node) for node in edge_nodes)
    if len([one for one in places if one < percent]) <= most:
        return percent
    return float(places[most])


def salt_for(rollout: str, edge_nodes: Sequence[str], stages: Sequence[float]) -> str:
    """Return a salt under which each stage takes as many gateways as its share, or nearly.

    A pure function of its arguments. With few gateways most salts leave the first stage empty, and
    an empty stage proves nothing: the first salt that fills every stage exactly wins, else the one
    that comes closest.
    """
    if not edge_nodes:
        return f"{rollout}-0"
    wanted = [share(percent, len(edge_nodes)) for percent in stages]
    best, best_distance = 0, math.inf
    for attempt in range(max(64, _HASHES // len(edge_nodes))):
        places = [place(f"{rollout}-{attempt}", node) for node in edge_nodes]
        counts = [sum(one < percent for one in places) for percent in stages]
        distance = sum(
            abs(count - most) * (100 / percent)
            for count, most, percent in zip(counts, wanted, stages, strict=True)
        )
        if distance < best_distance:
            best, best_distance = attempt, distance
        if distance == 0:
            break
    return f"{rollout}-{best}"
