"""A check puts on trial what is rolled out to this gateway, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_agent.updates import check

FAN = {"kind": "model", "equipment_class": "fan", "version": "2"}


def test_a_model_rolled_out_is_put_on_trial(
    update_repository: Any, updated_gateway: Any, shipped: Any
) -> None:
    update_repository.add_model("fan", "2", shipped("fan"))
    update_repository.roll_out("riverside", FAN)
    update_repository.publish()

    outcome = updated_gateway.check()

    assert (outcome.result, outcome.reason) == ("good", "")
    assert [(f.subject, f.version, f.what) for f in outcome.findings] == [("fan", "2", "on trial")]
    trial = updated_gateway.store.manifest().models["fan"].trial
    assert (trial.version, trial.rollout) == ("2", "r1")
    assert updated_gateway.store.path(trial, "model.tflite").read_bytes() == shipped("fan")
    assert abs(outcome.clock_skew_s) < 5
    assert updated_gateway.steps == [
        "begun", "refreshed", "downloaded", "taken", "downloaded", "taken", "tried", "written",
        "swept", "ended",
    ]  # fmt: skip


def test_a_second_check_downloads_nothing_again(
    update_repository: Any, updated_gateway: Any, shipped: Any
) -> None:
    update_repository.add_model("fan", "2", shipped("fan"))
    update_repository.roll_out("riverside", FAN)
    update_repository.publish()
    updated_gateway.check()
    update_repository.asked.clear()

    outcome = updated_gateway.check()

    assert (outcome.result, outcome.findings) == ("good", [])
    assert not [path for path in update_repository.asked if "model" in path]


@pytest.mark.parametrize(
    "item",
    [
        {"group": "others"},
        {"percent": 0},
        {"state": "paused"},
        {"state": "halted"},
        {"state": "reverted"},
    ],
    ids=lambda item: "-".join(map(str, item.values())),
)
def test_what_is_not_for_this_gateway_is_left_alone(
    update_repository: Any, updated_gateway: Any, shipped: Any, item: dict[str, Any]
) -> None:
    update_repository.add_model("fan", "2", shipped("fan"))
    update_repository.roll_out("riverside", {**FAN, **item})
    update_repository.publish()

    outcome = updated_gateway.check()

    assert (outcome.result, outcome.findings) == ("good", [])
    assert updated_gateway.store.manifest().models == {}


def test_a_reverted_rollout_is_taken_back_and_the_one_before_fetched(
    update_repository: Any, updated_gateway: Any, shipped: Any
) -> None:
    update_repository.add_model("fan", "1.5", shipped("fan"))
    update_repository.add_model("fan", "2", shipped("fan") + b"new")
    rolling = {**FAN, "rollout": "r2", "previous_version": "1.5"}
    update_repository.roll_out("riverside", rolling)
    update_repository.publish()
    updated_gateway.check()
    with updated_gateway.store.changing() as change:
        change.put("model", "fan", change.manifest.slot("model", "fan").kept(0))

    update_repository.roll_out("riverside", {**rolling, "state": "reverted"})
    update_repository.publish()
    outcome = updated_gateway.check()

    assert [(f.version, f.what) for f in outcome.findings] == [
        ("2", "taken back"),
        ("1.5", "on trial"),
    ]
    slot = updated_gateway.store.manifest().models["fan"]
    assert (slot.current, slot.trial.version) == (None, "1.5")


def test_what_was_damaged_on_the_disk_comes_again(
    update_repository: Any, updated_gateway: Any, shipped: Any
) -> None:
    update_repository.add_model("fan", "2", shipped("fan"))
    update_repository.roll_out("riverside", FAN)
    update_repository.publish()
    updated_gateway.check()
    with updated_gateway.store.changing() as change:
        change.put("model", "fan", change.manifest.slot("model", "fan").kept(0))
    store = updated_gateway.store
    current = store.manifest().models["fan"].current
    store.path(current, "model.tflite").write_bytes(b"rotten")

    outcome = updated_gateway.check()

    assert outcome.result == "good"
    assert store.path(current, "model.tflite").read_bytes() == shipped("fan")
    slot = store.manifest().models["fan"]
    assert (slot.current.digest, slot.trial) == (current.digest, None)


def test_what_nothing_names_is_removed(
    update_repository: Any, updated_gateway: Any, shipped: Any
) -> None:
    update_repository.add_model("fan", "2", shipped("fan"))
    update_repository.roll_out("riverside", FAN)
    update_repository.publish()
    contents = updated_gateway.store.folder / "contents"
    contents.mkdir(parents=True)
    (contents / ("0" * 64)).write_bytes(b"old")
    (updated_gateway.store.folder / ".new-abc").write_bytes(b"half")

    updated_gateway.check()

    trial = updated_gateway.store.manifest().models["fan"].trial
    assert {path.name for path in contents.iterdir()} == set(trial.files.values())
    assert not (updated_gateway.store.folder / ".new-abc").exists()
    assert not (updated_gateway.store.folder / "staging").exists()


def test_two_checks_at_once_are_one(update_repository: Any, updated_gateway: Any) -> None:
    said: list[str] = []

    def meanwhile(step: str) -> None:
        if step == "begun":
            said.append(updated_gateway.check().reason)

    outcome = check.check(updated_gateway.job, meanwhile)

    assert outcome.result == "good"
    assert said == ["another check is running"]


def test_a_gateway_without_an_enrolment_says_so(
    update_repository: Any, updated_gateway: Any
) -> None:
    Path(updated_gateway.job.root).unlink()

    outcome = updated_gateway.check()

    assert outcome.result == "refused"
    assert "enrol this gateway first" in outcome.reason
    assert update_repository.asked == []


def test_a_server_that_is_away_is_unreachable(update_repository: Any, updated_gateway: Any) -> None:
    update_repository.close()

    outcome = updated_gateway.check()

    assert outcome.result == "unreachable"
    assert outcome.clock_skew_s is None


def test_a_repository_without_rollouts_for_the_site_asks_for_nothing(
    update_repository: Any, updated_gateway: Any
) -> None:
    update_repository.roll_out("elsewhere", FAN)
    update_repository.publish()

    assert (updated_gateway.check().result, updated_gateway.check().findings) == ("good", [])


def test_a_check_leaves_the_processor_to_the_agent(
    update_repository: Any, updated_gateway: Any
) -> None:
    nicer = (
        "import os, sys; from edge_agent.updates.__main__ import main; before = os.nice(0);"
        "main(['check', sys.argv[1]]); print(os.nice(0) - before)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", nicer, updated_gateway.job.gateway],
        env={**os.environ, "HEADRACE_DATA_DIR": str(updated_gateway.folder / "data")},
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )

    assert int(ended.stdout.splitlines()[-1]) == 10


def test_the_command_prints_its_steps_and_its_outcome(
    update_repository: Any, updated_gateway: Any
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "edge_agent.updates", "check", updated_gateway.job.gateway],
        env={**os.environ, "HEADRACE_DATA_DIR": str(updated_gateway.folder / "data")},
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )

    *steps, outcome = map(json.loads, ended.stdout.splitlines())
    assert [step["step"] for step in steps] == ["begun", "refreshed", "swept", "ended"]
    assert outcome["result"] == "good"
