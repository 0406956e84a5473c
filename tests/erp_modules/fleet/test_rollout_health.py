"""What a health rule makes of what gateways report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_modules.fleet.rollout_health import (
    Behaviour,
    GatewayProgress,
    Observation,
    Rule,
    Verdict,
    judge,
    judge_gateway,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FINE = Behaviour(windows=500, score=0.4, latency_us=100.0)


def seen(node: str = "e1", **changed: object) -> Observation:
    usual = {
        "state": "RUNNING",
        "since": NOW - 2 * HOUR,
        "last_seen": NOW,
        "now": FINE,
        "before": FINE,
    }
    return Observation(node, **{**usual, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("observation", "progress", "reason"),
    [
        (seen(), GatewayProgress.WELL, ""),
        (seen(since=NOW - HOUR / 2), GatewayProgress.RUNNING, ""),
        (seen(state="TRIAL"), GatewayProgress.TRIAL, ""),
        (seen(state="", since=None), GatewayProgress.ASKED, ""),
        (seen(state="REVERTED", reason="scores moved"), GatewayProgress.REFUSED, "scores moved"),
        (seen(last_seen=NOW - HOUR), GatewayProgress.BAD, "silent since it took the version"),
        (seen(now=Behaviour(500, 0.4, 100.0, crashes=1)), GatewayProgress.BAD, "crashed 1 times"),
        (seen(now=Behaviour(500, 0.4, 250.0)), GatewayProgress.BAD, "2.5 times the 100 µs before"),
        (seen(now=Behaviour(500, 1.6, 100.0)), GatewayProgress.BAD, "from 0.40 to 1.60"),
        (seen(now=Behaviour(500, 0.05, 100.0)), GatewayProgress.BAD, "from 0.40 to 0.05"),
        (seen(now=Behaviour(500, float("nan"), 100.0)), GatewayProgress.BAD, "score is nan"),
        # Too few windows, and noise far below what matters, say nothing.
        (seen(now=Behaviour(5, 9.9, 900.0)), GatewayProgress.WELL, ""),
        (
            seen(now=Behaviour(500, 0.01, 15.0), before=Behaviour(500, 0.001, 2.0)),
            GatewayProgress.WELL,
            "",
        ),
        (seen(before=Behaviour()), GatewayProgress.WELL, ""),
    ],
)
def test_a_gateway_is_judged(
    observation: Observation, progress: GatewayProgress, reason: str
) -> None:
    judged = judge_gateway(Rule(), observation, NOW)
    assert judged.progress is progress
    assert reason in judged.reason


def test_enough_gateways_must_be_well_for_the_soak_time() -> None:
    stage = [seen(f"e{n}") for n in range(8)] + [seen("late", since=NOW), seen("later", since=NOW)]
    assert judge(Rule(), stage, NOW).verdict is Verdict.OPEN
    assert judge(Rule(least_share=0.8), stage, NOW).verdict is Verdict.WELL
    # Nobody who was away before holds the others up.
    away = seen("away", state="", since=None, last_seen=NOW - 24 * HOUR)
    assert judge(Rule(least_share=0.8), [*stage, away], NOW).verdict is Verdict.WELL


def test_a_bad_gateway_is_told_with_its_evidence() -> None:
    stage = [seen("e1"), seen("e2", now=Behaviour(500, 0.4, 100.0, crashes=3))]
    judgement = judge(Rule(), stage, NOW)
    assert judgement.verdict is Verdict.BAD
    assert judgement.evidence == "1 of 2 gateways bad: e2: crashed 3 times"
    assert judge(Rule(bad_share=0.5), stage, NOW).verdict is not Verdict.BAD


def test_an_empty_stage_proves_nothing() -> None:
    assert judge(Rule(), [], NOW).verdict is Verdict.OPEN


OBSERVATIONS = st.builds(
    seen,
    st.text("abc", min_size=1, max_size=3),
    state=st.sampled_from(["", "RUNNING", "TRIAL", "REVERTED"]),
    since=st.sampled_from([NOW - 2 * HOUR, NOW]),
    last_seen=st.sampled_from([None, NOW, NOW - HOUR]),
    now=st.builds(
        Behaviour,
        windows=st.integers(0, 100),
        score=st.none() | st.floats(),
        latency_us=st.none() | st.floats(0, 1e6),
        crashes=st.integers(0, 2),
    ),
)


@given(st.lists(OBSERVATIONS, max_size=12))
def test_a_stage_with_a_bad_gateway_is_never_well(stage: list[Observation]) -> None:
    judgement = judge(Rule(), stage, NOW)
    bad = judgement.count(GatewayProgress.BAD, GatewayProgress.REFUSED)
    assert (judgement.verdict is Verdict.BAD) == (bad > 0)
    if judgement.verdict is Verdict.WELL:
        assert judgement.count(GatewayProgress.WELL) >= 1
    assert len(judgement.gateways) == len(stage)
