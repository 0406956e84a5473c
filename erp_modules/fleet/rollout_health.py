"""When a stage of a rollout is well, bad, or not yet decided; pure.

Each gateway that a stage takes is judged by what it reports of the new version beside what it
reported of the version before. The stage is well when enough gateways were well for the soak time,
bad when more than the tolerated share of them is bad.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

# Windows below which quantiles say nothing.
LEAST_WINDOWS = 30
# A median score or latency below this is noise; ratios are taken from here on.
LEAST_SCORE = 0.05
LEAST_LATENCY_US = 20.0
# How much of the evidence is told.
_TOLD = 5


class GatewayProgress(StrEnum):
    """How far a gateway is."""

    WAITING = "waiting"  # its stage has not come
    ASKED = "asked"
    TRIAL = "trial"
    RUNNING = "running"
    WELL = "well"
    BAD = "bad"
    REFUSED = "refused"
    REVERTED = "reverted"


class Verdict(StrEnum):
    """What a stage comes to."""

    OPEN = "open"
    WELL = "well"
    BAD = "bad"


@dataclass(frozen=True)
class Rule:
    """When a stage is well and when bad; see `HealthRule` of the contract."""

    soak: timedelta = timedelta(hours=1)
    least_share: float = 0.9
    latency_ratio: float = 2.0
    score_ratio: float = 3.0
    crashes: int = 0
    bad_share: float = 0.0
    silence: timedelta = timedelta(minutes=15)
    revert: bool = True


@dataclass(frozen=True)
class Behaviour:
    """How a version does on a gateway: scores (1.0 is the limit) and µs an inference."""

    windows: int = 0
    score: float | None = None
    latency_us: float | None = None
    crashes: int = 0


@dataclass(frozen=True)
class Observation:
    """What is known of one gateway and the version; times are the server's.

    `state` is RUNNING, TRIAL or REVERTED as the gateway says, or empty when it says nothing of the
    version. `since` is when that was first heard.
    """

    edge_node: str
    state: str = ""
    since: datetime | None = None
    last_seen: datetime | None = None
    reason: str = ""
    now: Behaviour = field(default_factory=Behaviour)
    before: Behaviour = field(default_factory=Behaviour)


@dataclass(frozen=True)
class Judged:
    """One gateway's progress and, when it is bad, why."""

    edge_node: str
    progress: GatewayProgress
    reason: str = ""


@dataclass(frozen=True)
class Judgement:
    """A stage's verdict with its evidence in one sentence."""

    verdict: Verdict
    evidence: str
    gateways: tuple[Judged, ...]

    def count(self, *progress: GatewayProgress) -> int:
        """Return how many gateways are that far."""
        return sum(one.progress in progress for one in self.gateways)


def judge(rule: Rule, stage: Sequence[Observation], now: datetime) -> Judgement:
    """Judge a stage by the gateways it takes."""
    judged = tuple(judge_gateway(rule, one, now) for one in stage)
    bad = [one for one in judged if one.progress in (GatewayProgress.BAD, GatewayProgress.REFUSED)]
    if bad and len(bad) > rule.bad_share * len(stage):
        told = "; ".join(f"{one.edge_node}: {one.reason}" for one in bad[:_TOLD])
        more = f"; and {len(bad) - _TOLD} more" if len(bad) > _TOLD else ""
        evidence = f"{len(bad)} of {_gateways(len(stage))} bad: {told}{more}"
        return Judgement(Verdict.BAD, evidence, judged)
    # Who was away before it was asked keeps nobody waiting.
    heard = [
        mine
        for one, mine in zip(stage, judged, strict=True)
        if one.state or not _silent(rule, one, now)
    ]
    well = sum(one.progress is GatewayProgress.WELL for one in judged)
    wanted = max(1, math.ceil(rule.least_share * len(heard)))
    if heard and well >= wanted:
        evidence = f"{well} of {_gateways(len(heard))} well for {_minutes(rule.soak)}"
        return Judgement(Verdict.WELL, evidence, judged)
    evidence = (
        f"{well} of {_gateways(len(heard))} well, {wanted} needed"
        if stage
        else "no gateway is in this stage's share"
    )
    return Judgement(Verdict.OPEN, evidence, judged)


def judge_gateway(rule: Rule, seen: Observation, now: datetime) -> Judged:
    """Judge one gateway that a stage takes."""

    def bad(reason: str) -> Judged:
        return Judged(seen.edge_node, GatewayProgress.BAD, reason)

    if seen.state == "REVERTED":
        reason = seen.reason or "refused it"
        return Judged(seen.edge_node, GatewayProgress.REFUSED, reason)
    if seen.state not in ("RUNNING", "TRIAL") or seen.since is None:
        return Judged(seen.edge_node, GatewayProgress.ASKED)
    if _silent(rule, seen, now):
        heard = "never" if seen.last_seen is None else f"{_minutes(now - seen.last_seen)} ago"
        return bad(f"silent since it took the version, last heard {heard}")
    if seen.now.crashes > rule.crashes:
        return bad(f"crashed {seen.now.crashes} times")
    if reason := _slower(rule, seen) or _shifted(rule, seen):
        return bad(reason)
    if seen.state == "TRIAL":
        return Judged(seen.edge_node, GatewayProgress.TRIAL)
    if now - seen.since >= rule.soak:
        return Judged(seen.edge_node, GatewayProgress.WELL)
    return Judged(seen.edge_node, GatewayProgress.RUNNING)


def _silent(rule: Rule, seen: Observation, now: datetime) -> bool:
    return seen.last_seen is None or now - seen.last_seen > rule.silence


def _slower(rule: Rule, seen: Observation) -> str:
    after, before = seen.now.latency_us, seen.before.latency_us
    if after is None or before is None or not _enough(seen):
        return ""
    ratio = after / max(before, LEAST_LATENCY_US)
    if ratio <= rule.latency_ratio:
        return ""
    return f"an inference takes {after:.0f} µs, {ratio:.1f} times the {before:.0f} µs before"


def _shifted(rule: Rule, seen: Observation) -> str:
    after, before = seen.now.score, seen.before.score
    if after is None or before is None or not _enough(seen):
        return ""
    # NaN and infinity are answers of a broken model.
    if not (math.isfinite(after) and math.isfinite(before)):
        return f"its median score is {after:g}"
    ratio = max(after, LEAST_SCORE) / max(before, LEAST_SCORE)
    if 1 / rule.score_ratio <= ratio <= rule.score_ratio:
        return ""
    return f"its median score moved from {before:.2f} to {after:.2f}"


def _enough(seen: Observation) -> bool:
    return min(seen.now.windows, seen.before.windows) >= LEAST_WINDOWS


def _gateways(count: int) -> str:
    return f"{count} gateway" if count == 1 else f"{count} gateways"


def _minutes(time: timedelta) -> str:
    return f"{time.total_seconds() / 60:.0f} min"
