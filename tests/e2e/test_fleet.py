"""A model from the offline key to a gateway's verdict, and back, through the real server."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.fleet.enrolment import EnrolmentError, enrol, renew
from edge_agent.inference import MODELS
from firmware_sim.plant import SITE as PLANT_SITE
from headrace import release_signing
from headrace.demo.headless import EDGE_NODE
from headrace.gateway import write as write_gateway
from headrace.stack import Stack, running

SITE, NODE = "riverside", "gw-1"
GATEWAY = f"""
site = "{SITE}"
edge_node = "{NODE}"
[fleet]
report_interval_s = 2.0
[updates]
server = "%s"
check_interval_s = 2.0
trial_windows = 10
trial_latency_ms = 1000.0
[[drivers]]
kind = "plugin"
factory = "firmware_sim.driver:create"
pace_hz = 60.0
[drivers.options]
scenario = "healthy"
speed = "max"
days = 1000.0
"""


@pytest.mark.slow
@pytest.mark.xdist_group("e2e")
def test_the_demos_gateway_shows_in_the_registry_by_itself(tmp_path: Path) -> None:
    options = {"scenario": "healthy", "seed": 1, "speed": 1, "history_hours": 0.05}
    with running(tmp_path / "data") as stack:
        file = write_gateway(
            tmp_path / "gateway.toml",
            PLANT_SITE,
            EDGE_NODE,
            "plugin",
            options,
            factory="firmware_sim.driver:create",
        )
        stack.start_agent(file, until_drained=False)

        def models() -> list[dict[str, Any]]:
            return list(stack.client.list("installations", site=PLANT_SITE))

        wait(stack, models, "a report with its models")
        gateway = stack.client.get(f"/v1/gateways/{PLANT_SITE}~{EDGE_NODE}")
        found = models()

    assert gateway["state"] == "GATEWAY_STATE_UNENROLLED"
    assert gateway["connection"] == "CONNECTION_ONLINE"
    assert gateway["report"]["agentVersion"]
    assert {one["subject"] for one in found} == {path.stem for path in MODELS.glob("*.tflite")}
    assert {one["state"] for one in found} == {"INSTALLATION_STATE_RUNNING"}
    assert all(one["sinceTime"] and not one.get("untilTime") for one in found)


def publish(stack: Stack, keys: Path, version: str, **card: Any) -> None:
    said = json.loads((MODELS / "fan.json").read_text()) | {"version": version} | card
    base = f"models/fan/{version}"
    files = {
        f"{base}/model.tflite": (MODELS / "fan.tflite").read_bytes(),
        f"{base}/model.json": json.dumps(said).encode(),
    }
    signed = release_signing.sign(keys, files)
    contents = [
        {"path": path, "content": base64.b64encode(content).decode()}
        for path, content in signed.files.items()
    ]
    targets = base64.b64encode(signed.targets).decode()
    stack.client.post("/v1/releases:publish", {"targets": targets, "files": contents})
    release_signing.keep(keys, signed)


def roll_out(stack: Stack, version: str) -> str:
    rollout = stack.client.post(
        "/v1/rollouts",
        {
            "site": SITE,
            "kind": "RELEASE_KIND_MODEL",
            "subject": "fan",
            "version": version,
            "stages": [100],
            # Two cores shared with the whole stack say nothing of latencies.
            "healthRule": {"soakTime": "1s", "latencyRatio": 1000},
        },
    )
    name: str = rollout["name"]
    stack.client.post(f"/v1/{name}:start", {})
    return name


def installed(stack: Stack) -> dict[str, str]:
    """Return what the registry says of the fan's model just now: state by version."""
    return {
        one["version"]: one["state"].removeprefix("INSTALLATION_STATE_")
        for one in stack.client.list("installations", site=SITE, subject="fan")
    }


def rollouts(stack: Stack) -> list[tuple[str, str, str]]:
    return [
        (one["version"], one["state"], one["reason"])
        for one in stack.client.list("rollouts", site=SITE)
    ]


def state(stack: Stack, rollout: str) -> str:
    told: str = stack.client.get(f"/v1/{rollout}")["state"]
    return told.removeprefix("ROLLOUT_STATE_")


def wait(stack: Stack, condition: Callable[[], Any], what: str, seconds: float = 100) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, (what, installed(stack), rollouts(stack))
        stack.supervisor.check()
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.xdist_group("e2e")
@pytest.mark.timeout(290)
def test_models_go_out_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, data = tmp_path / "keys", tmp_path / "data"
    release_signing.make_keys(keys)
    release_signing.install(keys, data / "updates")
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(data))
    with running(data) as stack:
        file = tmp_path / "gateway.toml"
        file.write_text(GATEWAY % stack.url)
        issued = stack.client.post(
            "/v1/enrolmentTokens:issue", {"site": SITE, "edgeNode": NODE, "lifetime": "3600s"}
        )
        enrolled = enrol(stack.url, issued["token"], file)
        with pytest.raises(EnrolmentError, match="401"):
            enrol(stack.url, issued["token"], file)
        renewed = renew(stack.url, file)
        assert renewed >= enrolled.not_after
        agent = stack.start_agent(file, until_drained=False)
        wait(stack, lambda: installed(stack) == {"1": "RUNNING"}, "the shipped model")

        publish(stack, keys, "2")
        good = roll_out(stack, "2")
        wait(stack, lambda: installed(stack) == {"2": "RUNNING"}, "the good model")
        wait(stack, lambda: state(stack, good) == "COMPLETED", "the good one's end")

        # Its scores are far from those of the one before: the gateway will not have it.
        publish(stack, keys, "3", limit=0.01)
        bad = roll_out(stack, "3")
        wait(stack, lambda: state(stack, bad) in ("REVERTED", "HALTED"), "the bad one's end")
        assert installed(stack)["2"] == "RUNNING"

        stack.client.post(f"/v1/{good}:revert", {})
        wait(stack, lambda: installed(stack).get("1") == "RUNNING", "the way back")
        gateway = stack.client.get(f"/v1/gateways/{SITE}~{NODE}")
        history = list(stack.client.list("installations", site=SITE, subject="fan", history=True))
        assert agent.returncode() is None

    assert gateway["state"] == "GATEWAY_STATE_ENROLLED"
    assert gateway["connection"] == "CONNECTION_ONLINE"
    assert gateway["report"]["updateCheck"]["result"] == "good"
    assert abs(gateway["report"]["clockOffsetMs"]) < 5000
    told = {(one["version"], one["state"]) for one in history}
    assert ("2", "INSTALLATION_STATE_RUNNING") in told
    assert ("3", "INSTALLATION_STATE_REVERTED") in told
    reasons = [one["reason"] for one in history if one["version"] == "3" and one.get("reason")]
    assert any(reason.startswith("scores: shifted by") for reason in reasons), reasons
