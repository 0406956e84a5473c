"""The manifest is the policy that was simulated, and the simulated day keeps to its bounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.autoscaling import policy, simulation
from benchmarks.autoscaling.controller import Behavior, Controller, Rules
from benchmarks.autoscaling.load import Rates
from benchmarks.autoscaling.load import day as day_of_load
from benchmarks.autoscaling.processes import STEP_S, Plant, Processes, needed, waits
from benchmarks.autoscaling.simulation import fixed

AUTOSCALING = Path(__file__).parents[2] / "deploy/kubernetes/components/autoscaling"


@pytest.fixture(scope="module")
def rates() -> Rates:
    return day_of_load(STEP_S)


@pytest.fixture
def scaled_object(yaml: Any) -> dict[str, Any]:
    text = (AUTOSCALING / "scaled-object.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["spec"])


def test_the_manifest_is_the_chosen_policy(scaled_object: dict[str, Any]) -> None:
    behavior = policy.CHOSEN.behavior
    told = scaled_object["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]

    assert scaled_object["minReplicaCount"] == behavior.minimum
    assert scaled_object["maxReplicaCount"] == behavior.maximum == policy.PARTITIONS
    for direction, rules in (("scaleUp", behavior.up), ("scaleDown", behavior.down)):
        assert told[direction] == {
            "stabilizationWindowSeconds": rules.stabilization_s,
            "policies": [{"type": "Pods", "value": rules.pods, "periodSeconds": rules.period_s}],
        }
    (trigger,) = scaled_object["triggers"]
    assert trigger["metricType"] == "AverageValue"
    assert float(trigger["metadata"]["threshold"]) == behavior.target


def test_the_rule_is_the_simulated_metric(
    scaled_object: dict[str, Any], expressions: list[tuple[str, str]]
) -> None:
    record = "headrace:stream_processor_demand:rate2m"
    expression = dict(expressions)[record]

    assert f"[{simulation.RATE_S // 60}m]" in expression
    assert expression.endswith(f"/ {policy.CHOSEN.drain_s}")
    assert record in scaled_object["triggers"][0]["metadata"]["query"]


def test_the_day_keeps_to_the_bounds(rates: Rates) -> None:
    trial = policy.tried(rates, [policy.CHOSEN])[0]
    four = fixed(rates, policy.PLANT, 4)

    assert trial.good
    assert trial.outcome.core_hours < four.core_hours
    assert trial.outcome.longest_s < four.longest_s / 2
    told = (AUTOSCALING.parents[2] / "README.md").read_text(encoding="utf-8")
    for name, day in (
        ("the policy", trial.outcome),
        ("… where a change stops all for a minute", trial.slow),
        ("always 4", four),
    ):
        figures = f"{day.longest_s:.0f} s | {day.p99_s:.0f} s | {day.core_hours:.0f}"
        assert f"| {name} | {figures} | {day.changes} |" in told


def test_no_neighbour_is_better(rates: Rates) -> None:
    trials = policy.tried(rates, [policy.CHOSEN, *policy.neighbours(policy.CHOSEN)])

    assert trials[0].policy == policy.CHOSEN


def test_the_same_day_every_time(rates: Rates) -> None:
    assert np.array_equal(rates, day_of_load(STEP_S))
    assert fixed(rates, policy.PLANT, 2) == fixed(rates, policy.PLANT, 2)


def test_an_outage_is_made_up_for(rates: Rates) -> None:
    hour = 3600 // STEP_S
    out, flush, usual = (rates[h * hour : (h + 1) * hour].sum() for h in (10, 11, 13))

    assert out == pytest.approx(0.7 * usual, rel=0.02)
    assert out + flush == pytest.approx(2 * usual, rel=0.02)


def test_what_comes_is_taken_or_waits() -> None:
    able = 10.0 * STEP_S
    processes = Processes(Plant(capacity=10.0, restart_s=2 * STEP_S), partitions=4, count=2)
    # Process 0 has partitions 0 and 2, process 1 the others.
    taken = processes.step([0.5 * able, 0.9 * able, 0.2 * able, 0.6 * able])
    assert taken == pytest.approx([0.5 * able, 0.6 * able, 0.2 * able, 0.4 * able])
    processes.rescale(4)
    assert [sum(processes.step([0.0] * 4)) for _ in range(2)] == [0.0, 0.0]
    assert processes.step([0.0] * 4) == pytest.approx([0.0, 0.3 * able, 0.0, 0.2 * able])
    assert sum(processes.waiting) == pytest.approx(0.0)


def test_how_long_the_first_message_waited() -> None:
    arrived = np.array([[10.0], [10.0], [10.0], [0.0]])
    taken = np.array([[10.0], [0.0], [0.0], [20.0]])

    assert waits(arrived, taken).tolist() == [0.0, STEP_S, 2 * STEP_S, 0.0]


def test_the_fewest_processes_that_suffice() -> None:
    rates = np.array([[5.0, 1.0, 1.0, 1.0], [5.0, 5.0, 5.0, 5.0], [9.0, 9.0, 9.0, 9.0]])

    assert needed(rates, capacity=10.0).tolist() == [1, 2, 4]


BEHAVIOR = Behavior(100.0, 1, 8, Rules(0, 8, 15), Rules(60, 8, 15))


@pytest.mark.parametrize(
    ("metric", "replicas"),
    [(100.0, 1), (109.0, 1), (111.0, 2), (399.0, 4), (401.0, 5), (9000.0, 8), (None, 1)],
)
def test_the_controllers_formula(metric: float | None, replicas: int) -> None:
    assert Controller(BEHAVIOR, 1).decide(0, metric) == replicas


def test_tolerance_is_about_what_there_is() -> None:
    assert Controller(BEHAVIOR, 4).decide(0, 439.0) == 4
    assert Controller(BEHAVIOR, 4).decide(0, 441.0) == 5


def test_down_only_after_the_window() -> None:
    controller = Controller(BEHAVIOR, 4)
    said = [controller.decide(now, 390.0 if now == 0 else 100.0) for now in range(0, 90, 15)]

    assert said == [4, 4, 4, 4, 1, 1]


def test_up_only_when_the_whole_window_asks_for_it() -> None:
    controller = Controller(replace(BEHAVIOR, up=Rules(30, 8, 15)), 2)
    said = [controller.decide(15 * n, m) for n, m in enumerate((200.0, 700.0, 400.0, 700.0))]

    assert said == [2, 2, 4, 4]


def test_at_most_so_many_in_a_period() -> None:
    controller = Controller(replace(BEHAVIOR, up=Rules(0, 2, 60)), 1)
    said = [controller.decide(now, 800.0) for now in range(0, 135, 15)]

    assert said == [3, 3, 3, 3, 5, 5, 5, 5, 7]
