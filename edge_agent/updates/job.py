"""What a check for updates is told, and what it says at its end; knows no library of updates."""

from __future__ import annotations

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a check needs to know; `gateway` is the local gateway file."""

    server: str
    site: str
    edge_node: str
    group: str
    configuration: str
    gateway: str
    folder: str
    root: str
    stall_s: float
    least_rate_bytes_s: float
    max_target_bytes: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one item."""

    kind: str
    subject: str
    version: str
    rollout: str
    what: str
    reason: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a check ended: `good`, `refused` (not to be trusted) or `unreachable`."""

    result: str
    reason: str = ""
    findings: list[Finding] = []
    clock_skew_s: float | None = None
