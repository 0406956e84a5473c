"""The `[spool]` table of a gateway file."""

from __future__ import annotations

from math import isfinite
from typing import Annotated

import msgspec
from msgspec import Meta

from edge_agent.store.policy import KINDS, Kind


class SpoolOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much the spool keeps, what it drops first, and how it treats disk and broker."""

    max_bytes: Annotated[
        int,
        Meta(ge=1 << 18, description="Of the spool's file; its log takes up to 8 MiB more."),
    ] = 1 << 30
    max_age_h: Annotated[
        float,
        Meta(ge=0, description="Hours of the agent's running time a batch is kept; 0 for ever."),
    ] = 0.0
    drop_first: Annotated[
        tuple[Kind, ...],
        Meta(description="Every kind, in the order in which room is made; `alarm` is last."),
    ] = ("health", "waveform", "data", "alarm")
    drain_rate: Annotated[
        float, Meta(ge=0, description="Batches a second after an outage; 0 for no limit.")
    ] = 0.0
    max_in_flight: Annotated[
        int,
        Meta(
            ge=0,
            description="Batches that are published and not acknowledged; the rest waits here. 0 "
            "for no limit.",
        ),
    ] = 4096
    max_in_flight_bytes: Annotated[
        int, Meta(ge=0, description="Of their payloads; 0 for no limit.")
    ] = 1 << 25
    commit_interval_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="How long batches wait for others so that the disk is written to less; "
            "alarms never wait.",
        ),
    ] = 100
    commit_bytes: Annotated[
        int, Meta(gt=0, le=1 << 22, description="Payload bytes that do not wait for others.")
    ] = 1 << 18
    reserve_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="Of the file system, left free; a tenth of it at most. The spool does not "
            "grow into it beyond 8 MiB.",
        ),
    ] = 1 << 26

    def __post_init__(self) -> None:
        if sorted(self.drop_first) != sorted(KINDS):
            raise ValueError(f"drop_first: each of {', '.join(KINDS)} once, not {self.drop_first}")
        if self.drop_first[-1] != "alarm":
            raise ValueError("drop_first: alarm comes last, so that alarms outlive all else")
        for name in ("max_age_h", "drain_rate"):
            if not isfinite(getattr(self, name)):
                raise ValueError(f"{name}: {getattr(self, name)} is no limit; 0 is none")
