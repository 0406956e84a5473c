"""A backfill beside the alarms that a real server has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from erp_modules.maintenance.v1.maintenance_pb2 import ReportAdvisoryRequest
from erp_modules.maintenance.v1.maintenance_pb2_grpc import AlarmServiceStub
from headrace.backfill.server_alarms import alarm_of
from headrace.broker import Broker, free_port
from headrace.client import ApiClient
from headrace.supervisor import Child
from stream_processor.v1.alert_pb2 import Advisory, AdvisoryState, Evidence, FeatureEvidence

TOKEN = "a-token-of-the-server-0123456789"
PASSWORD = "a long password"
START_MS = 1_767_571_200_000
RAISED, CLEARED = AdvisoryState.ADVISORY_STATE_RAISED, AdvisoryState.ADVISORY_STATE_CLEARED


@pytest.fixture
def server(broker: Broker, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A server, what reports to it, and a token that may read."""
    port, grpc_port = free_port(), free_port()
    child = Child(
        "cloud_api",
        ["-m", "cloud_api"],
        {
            **broker.environment,
            "HEADRACE_DATA_DIR": str(tmp_path / "data"),
            "HEADRACE_HTTP_PORT": str(port),
            "HEADRACE_GRPC_PORT": str(grpc_port),
            "HEADRACE_ADMIN_PASSWORD": PASSWORD,
            "HEADRACE_API_TOKEN": TOKEN,
        },
        tmp_path / "cloud.log",
    )
    url = f"http://127.0.0.1:{port}"
    try:
        child.start()
        with ApiClient(url) as client:
            deadline = time.monotonic() + 120
            while not client.ready():
                assert time.monotonic() < deadline, child.tail()
                time.sleep(0.05)
            client.sign_in("admin", PASSWORD)
            token = client.post("/v1/session/tokens", {"title": "cli"})["token"]
        channel = grpc.insecure_channel(
            f"127.0.0.1:{grpc_port}", options=[("grpc.enable_http_proxy", 0)]
        )
        stub = AlarmServiceStub(channel)  # type: ignore[no-untyped-call]

        def report(advisory: Advisory) -> None:
            stub.ReportAdvisory(
                ReportAdvisoryRequest(advisory=advisory),
                timeout=60,
                metadata=(("authorization", f"Bearer {TOKEN}"),),
            )

        yield SimpleNamespace(url=url, token=token, report=report)
        channel.close()
    finally:
        child.stop()


def advisory(
    name: str, second: int, state: AdvisoryState.ValueType = RAISED, rule: str = "rule/hot"
) -> Advisory:
    found = Advisory(
        advisory_id=name,
        revision=1 if state == RAISED else 2,
        state=state,
        site="riverside",
        edge_node="gw-1",
        equipment="R-1",
        equipment_class="test_rig",
        severity=3,
        failure_mode=1,
        confidence=1.0,
        summary="R-1: it is hot",
        rule=rule,
        model_version="rules/test_rig/1",
        evidence=Evidence(
            channel="Heat",
            features=[
                FeatureEvidence(channel="Heat", feature="mean", unit="degC", value=90, limit=80)
            ],
        ),
    )
    for stamp in (found.window_start_time, found.window_end_time, found.sent_time):
        stamp.FromMilliseconds(START_MS + second * 1000)
    return found


@pytest.mark.slow
def test_alarms_of_the_server_are_compared_with(
    log: Any, backfill: Any, file: Callable[..., str], server: SimpleNamespace
) -> None:
    log.births()
    log.send(20, 90, 90, 90, 20, 20, 20, 90, 90, 90, 20, 20, 20)
    # The first as it was; one that the rule does not say; one of another time; one of a model.
    for each in (
        advisory("a", 3),
        advisory("a", 6, CLEARED),
        advisory("b", 7, rule="rule/gone"),
        advisory("c", 5000, rule="rule/other"),
        advisory("d", 4, rule="machine-deviation"),
    ):
        server.report(each)
    options = ("--since", "1d", "--against", "alarms", "--server", server.url)

    found = backfill.document(*options, "--token", server.token, text=file())

    assert found["against"] == "the alarms there were"
    assert [
        (m["what"], (m["now"] or m["then"])[0]["rule"], len(m["then"])) for m in found["alarms"]
    ] == [("same", "hot", 1), ("gone", "gone", 1), ("added", "hot", 0)]
    then = found["alarms"][0]["then"][0]
    assert then["evidence"]["limit"] == 80.0
    assert then["cleared"] is not None
    assert backfill(*options, "--token", "wrong", text=file()).exit_code == 2
    nowhere = f"http://127.0.0.1:{free_port()}"
    away = backfill("--since", "1d", "--against", "alarms", "--server", nowhere, text=file())
    assert away.exit_code == 2
    assert nowhere in away.output


def test_an_alarm_of_a_model_is_none_of_a_rule() -> None:
    assert alarm_of({"advisory": {"rule": "machine-deviation"}}) is None
