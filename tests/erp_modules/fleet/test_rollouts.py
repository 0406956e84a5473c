"""Releases on their way to the gateways: by people, by the health rule, and what gateways read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_api.updates import UpdateRepository
from edge_agent.v1 import report_pb2
from erp_modules.fleet import staging
from erp_modules.fleet.desired import Wanted, document
from erp_modules.fleet.errors import RolloutStepNotAllowed, RolloutUnderWay
from erp_modules.fleet.rollout_states import STEPS, RolloutState, after
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.errors import InvalidArgument
from headrace import release_signing

Call = Callable[..., Any]
NODES = [f"e{number}" for number in range(10)]


def plan(call: Call, version: str = "2.0", previous: str = "1.0", **changed: Any) -> pb.Rollout:
    usual = {"site": "plant", "kind": pb.RELEASE_KIND_MODEL, "subject": "fan"}
    rollout = pb.Rollout(**{**usual, "version": version, "previous_version": previous, **changed})
    made: pb.Rollout = call(
        "RolloutService.CreateRollout", pb.CreateRolloutRequest(rollout=rollout)
    )
    return made


def step(call: Call, rpc: str, name: str, **fields: Any) -> pb.Rollout:
    request = getattr(pb, f"{rpc}Request")(name=name, **fields)
    done: pb.Rollout = call(f"RolloutService.{rpc}", request)
    return done


def get(call: Call, name: str) -> pb.Rollout:
    found: pb.Rollout = call("RolloutService.GetRollout", pb.GetRolloutRequest(name=name))
    return found


def told(updates: UpdateRepository) -> list[dict[str, Any]]:
    """What the gateways of the plant read just now."""
    rollouts = [
        path.read_bytes() for path in (updates.targets_folder / "rollouts").glob("*.plant.json")
    ]
    newest = max(
        (path for path in (updates.targets_folder / "rollouts").glob("*.plant.json")),
        key=lambda path: path.stat().st_mtime_ns,
    )
    assert rollouts
    found: list[dict[str, Any]] = json.loads(newest.read_bytes())
    return found


def model(version: str, state: str = "RUNNING", **stats: Any) -> report_pb2.ModelReport:
    return report_pb2.ModelReport(
        equipment_class="fan",
        version=version,
        state=report_pb2.InstallationState.Value(f"INSTALLATION_STATE_{state}"),
        **stats,
    )


@pytest.fixture
def plant(publish: Call, report: Call) -> None:
    """Ten gateways with 1.0, and 2.0 to be had."""
    publish("1.0", "2.0", "3.0")
    for node in NODES:
        report(node, model("1.0", windows=500, score_p50=0.4, latency_p99_us=100.0))


@pytest.mark.usefixtures("on_both", "plant")
def test_stages_go_on_after_the_soak_time_to_the_end(
    call: Call, report: Call, run_job: Call, deliver: Call, clock: ManualClock,
    updates: UpdateRepository,
) -> None:  # fmt: skip
    rollout = plan(call)
    assert rollout.state == pb.ROLLOUT_STATE_PLANNED
    assert list(rollout.stages) == [1, 10, 100]
    rollout = step(call, "StartRollout", rollout.name)
    deliver()
    seen = []
    for _ in range(40):
        item = told(updates)[-1]
        seen.append((item["state"], rollout.stage, rollout.progress.gateway_count))
        if rollout.state == pb.ROLLOUT_STATE_COMPLETED:
            break
        for node in NODES:
            asked = staging.place(item["salt"], node) < item["percent"]
            report(node, model("2.0" if asked else "1.0", rollout=rollout.name.split("/")[1]))
        clock.advance(timedelta(minutes=31))
        for node in NODES:
            asked = staging.place(item["salt"], node) < item["percent"]
            report(node, model("2.0" if asked else "1.0", rollout=rollout.name.split("/")[1]))
        run_job("fleet.evaluate_rollouts")
        deliver()
        rollout = get(call, rollout.name)
    counts = {stage: count for _, stage, count in seen}
    assert counts == {0: 1, 1: 1, 2: 10}
    assert rollout.state == pb.ROLLOUT_STATE_COMPLETED
    assert [one.action for one in rollout.history] == [
        "created", "started", "advanced", "advanced", "completed",
    ]  # fmt: skip
    assert rollout.history[0].actor == "users/ada"
    assert rollout.history[2].actor == "modules/fleet"
    assert "well for 60 min" in rollout.history[2].detail


@pytest.mark.usefixtures("plant")
@pytest.mark.parametrize(
    ("report_of", "evidence"),
    [
        (model("2.0", windows=90, score_p50=0.4, latency_p99_us=900.0), "9.0 times the 100 µs"),
        (model("2.0", windows=90, score_p50=4.0, latency_p99_us=90.0), "from 0.40 to 4.00"),
        (model("2.0", crashes=1), "crashed 1 times"),
        (model("2.0", "REVERTED", reason="its own trial said no"), "its own trial said no"),
        (None, "silent since it took the version"),
    ],
    ids=["slow", "shifted", "crashed", "refused", "silent"],
)
def test_bad_health_halts_and_reverts_with_evidence(
    call: Call, report: Call, run_job: Call, deliver: Call, clock: ManualClock,
    updates: UpdateRepository, report_of: report_pb2.ModelReport | None, evidence: str,
) -> None:  # fmt: skip
    rollout = step(call, "StartRollout", plan(call).name)
    deliver()
    item = told(updates)[-1]
    canary = next(n for n in NODES if staging.place(item["salt"], n) < item["percent"])
    sent = report_of or model("2.0")
    sent.rollout = item["rollout"]
    report(canary, sent)
    clock.advance(timedelta(minutes=2 if report_of else 30))
    run_job("fleet.evaluate_rollouts")
    deliver()
    rollout = get(call, rollout.name)
    assert rollout.state == pb.ROLLOUT_STATE_REVERTED
    assert canary in rollout.reason
    assert evidence in rollout.reason
    assert [one.action for one in rollout.history][-2:] == ["halted", "reverted"]
    back = told(updates)[-1]
    assert (back["state"], back["previous_version"]) == ("reverted", "1.0")
    assert back["percent"] == item["percent"]


@pytest.mark.usefixtures("plant")
def test_a_halted_rollout_waits_for_a_person(
    call: Call, report: Call, run_job: Call, deliver: Call, clock: ManualClock,
    updates: UpdateRepository,
) -> None:  # fmt: skip
    rule = pb.HealthRule(revert=False)
    rollout = step(call, "StartRollout", plan(call, health_rule=rule).name)
    deliver()
    item = told(updates)[-1]
    canary = next(n for n in NODES if staging.place(item["salt"], n) < item["percent"])
    report(canary, model("2.0", crashes=5, rollout=item["rollout"]))
    run_job("fleet.evaluate_rollouts")
    deliver()
    assert get(call, rollout.name).state == pb.ROLLOUT_STATE_HALTED
    assert told(updates)[-1]["state"] == "halted"
    for _ in range(5):
        clock.advance(timedelta(days=1))
        report(canary, model("2.0", rollout=item["rollout"]))
        run_job("fleet.evaluate_rollouts")
    assert get(call, rollout.name).state == pb.ROLLOUT_STATE_HALTED
    assert step(call, "ResumeRollout", rollout.name).state == pb.ROLLOUT_STATE_ROLLING
    assert step(call, "AdvanceRollout", rollout.name, reason="seen").stage == 1


@pytest.mark.usefixtures("plant")
def test_people_pause_resume_and_revert(
    call: Call, deliver: Call, updates: UpdateRepository
) -> None:
    rollout = step(call, "StartRollout", plan(call, stages=[50, 100]).name)
    paused = step(call, "PauseRollout", rollout.name, reason="shift change")
    assert (paused.state, paused.reason) == (pb.ROLLOUT_STATE_PAUSED, "shift change")
    deliver()
    assert told(updates)[-1]["state"] == "paused"
    with pytest.raises(RolloutStepNotAllowed, match="allowed now: resume, revert"):
        step(call, "AdvanceRollout", rollout.name)
    step(call, "ResumeRollout", rollout.name)
    other = plan(call, version="3.0", previous="2.0")
    with pytest.raises(RolloutUnderWay):
        step(call, "StartRollout", other.name)
    step(call, "RevertRollout", rollout.name, reason="customer asked")
    deliver()
    assert told(updates)[-1]["state"] == "reverted"
    assert step(call, "StartRollout", other.name).state == pb.ROLLOUT_STATE_ROLLING
    listed = call(
        "RolloutService.ListRollouts",
        pb.ListRolloutsRequest(states=[pb.ROLLOUT_STATE_ROLLING], subject="fan"),
    )
    assert [one.name for one in listed.rollouts] == [other.name]


@pytest.mark.usefixtures("plant")
def test_every_gateway_of_a_rollout_is_listed_with_its_stage(call: Call, report: Call) -> None:
    rollout = step(call, "StartRollout", plan(call).name)
    answer = call(
        "RolloutService.ListRolloutGateways",
        pb.ListRolloutGatewaysRequest(rollout=rollout.name, page_size=4),
    )
    assert (len(answer.gateways), answer.total_size) == (4, 10)
    everyone = call(
        "RolloutService.ListRolloutGateways", pb.ListRolloutGatewaysRequest(rollout=rollout.name)
    ).gateways
    asked = [one for one in everyone if one.state == "asked"]
    assert len(asked) == 1
    assert {one.state for one in everyone if one.edge_node != asked[0].edge_node} == {"waiting"}
    report(asked[0].edge_node, model("2.0", "TRIAL", rollout=rollout.name.split("/")[1]))
    everyone = call(
        "RolloutService.ListRolloutGateways", pb.ListRolloutGatewaysRequest(rollout=rollout.name)
    ).gateways
    assert [one.version for one in everyone if one.state == "trial"] == ["2.0"]


def test_a_rollout_is_for_its_groups_only(
    call: Call, publish: Call, report: Call, deliver: Call, updates: UpdateRepository
) -> None:
    publish("1.0", "2.0")
    groups = {f"n{n}": "north" for n in range(3)} | {f"s{n}": "south" for n in range(5)}
    for node, group in groups.items():
        report(node, group=group, fan="1.0")
    rollout = step(call, "StartRollout", plan(call, groups=["north"], stages=[100]).name)
    deliver()
    assert (rollout.progress.total_count, rollout.progress.gateway_count) == (3, 3)
    assert [(item["group"], item["percent"]) for item in told(updates)] == [("north", 100)]
    listed = call(
        "RolloutService.ListRolloutGateways", pb.ListRolloutGatewaysRequest(rollout=rollout.name)
    )
    assert {one.edge_node for one in listed.gateways} == {"n0", "n1", "n2"}
    # One that moves to another group is not of the stage any more.
    report("n0", group="south", fan="1.0")
    assert get(call, rollout.name).progress.gateway_count == 2


@pytest.mark.usefixtures("on_both", "plant")
def test_which_gateway_has_which_model_and_since_when(
    call: Call, report: Call, clock: ManualClock
) -> None:
    began = clock.now()
    clock.advance(timedelta(hours=1))
    report("e3", model("2.0"))
    request = pb.ListInstallationsRequest(gateway="gateways/plant~e3", history=True)
    had = call("GatewayService.ListInstallations", request).installations
    assert [(one.version, one.HasField("until_time")) for one in had] == [
        ("2.0", False),
        ("1.0", True),
    ]
    assert had[1].since_time.ToDatetime(tzinfo=began.tzinfo) == began
    listed = call("GatewayService.ListGateways", pb.ListGatewaysRequest(installed="fan@2.0"))
    assert [one.edge_node for one in listed.gateways] == ["e3"]
    now = call("GatewayService.ListInstallations", pb.ListInstallationsRequest(version="1.0"))
    assert now.total_size == 9


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"version": "9.9"}, "rollout.version"),
        ({"previous": "9.9"}, "rollout.previous_version"),
        ({"previous": "2.0"}, "rollout.previous_version"),
        ({"stages": [10, 5, 100]}, "rollout.stages"),
        ({"stages": [1, 10]}, "rollout.stages"),
        ({"health_rule": pb.HealthRule(least_share=2)}, "rollout.health_rule.least_share"),
        ({"site": "\N{FACTORY}" * 50}, "rollout.site"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    call: Call, publish: Call, changed: dict[str, Any], field: str
) -> None:
    publish("1.0", "2.0")
    with pytest.raises(InvalidArgument) as refused:
        plan(call, **changed)
    assert [one.field for one in refused.value.violations] == [field]


def test_releases_are_what_the_key_signed(
    call: Call, publish: Call, keys: Path, updates: UpdateRepository
) -> None:
    (first,) = publish("1.0")
    assert first.name == "releases/model~fan~1.0"
    assert call("ReleaseService.GetRelease", pb.GetReleaseRequest(name=first.name)) == first
    publish("1.1")
    listed = call("ReleaseService.ListReleases", pb.ListReleasesRequest(subject="fan"))
    assert {one.version for one in listed.releases} == {"1.0", "1.1"}
    with pytest.raises(release_signing.SigningError, match="another version"):
        release_signing.sign(keys, {"models/fan/1.0/model.tflite": b"something else"})
    assert (updates.metadata_folder / "3.targets.json").exists()


STATES = st.sampled_from(sorted(STEPS))


@given(st.lists(STATES, max_size=20))
def test_a_halted_rollout_never_advances_by_itself(steps: list[str]) -> None:
    state, resumed = RolloutState.PLANNED, False
    for name in steps:
        try:
            following = after(name, state)
        except RolloutStepNotAllowed:
            continue
        if state is RolloutState.HALTED:
            assert name in ("resume", "revert")
        if state is RolloutState.REVERTED:
            raise AssertionError("a reverted rollout ended")
        state, resumed = following, resumed or name == "resume"


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([s for s in RolloutState if s is not RolloutState.PLANNED]),
    st.floats(0, 100),
    st.lists(st.sampled_from(["default", "north", "south"]), min_size=1, unique=True),
)
def test_a_revert_tells_every_gateway_that_was_asked_to_go_back(
    state: RolloutState, percent: float, groups: list[str]
) -> None:
    before = Wanted(
        "r1", "model", "fan", "1.0", "", tuple(groups), 100, "a", RolloutState.COMPLETED
    )
    new = Wanted("r2", "model", "fan", "2.0", "1.0", tuple(groups), percent, "b", state)
    reverted = Wanted(*[*vars(new).values()][:-1], RolloutState.REVERTED)
    nodes = [f"e{number}" for number in range(50)]

    def desired(content: bytes, node: str, group: str) -> str:
        """What a gateway that did all it was told so far has then, as the contract says."""
        item = [
            one
            for one in json.loads(content)
            if one["group"] == group and staging.place(one["salt"], node) < one["percent"]
        ][-1:]
        if not item:
            return ""
        version: str = item[0]["previous_version" if item[0]["state"] == "reverted" else "version"]
        return version

    for node in nodes:
        for group in groups:
            assert desired(document([before, reverted]), node, group) == "1.0"
