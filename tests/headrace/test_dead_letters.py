"""`headrace dead-letters …` beside a real server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import nats
import pytest
from typer.testing import CliRunner, Result

from edge_agent.v1.sparkplug_b_pb2 import DataType, Payload
from headrace.broker import Broker, free_port
from headrace.cli import app
from headrace.client import ApiClient
from headrace.dead_letters import fix_of
from headrace.supervisor import Child
from stream_processor.settings import Settings
from stream_processor.streams import configurations
from stream_processor.v1 import dead_letter_pb2 as dl

TOKEN = "a-token-of-the-server-0123456789"
PASSWORD = "a long password"
DAY_MS = 86_400_000
SENT_MS = 1_767_225_600_000


def test_options_are_the_contracts_fix() -> None:
    assert fix_of("-1d", ["A=1", 'B="x=y"'], "P-102", True, None) == {
        "shiftTime": "-86400s",
        "edits": [{"metric": "A", "value": "1"}, {"metric": "B", "value": '"x=y"'}],
        "device": "P-102",
        "keepDecoded": True,
    }
    assert fix_of("", [], "", False, None) == {}
    with pytest.raises(ValueError, match="NAME=VALUE"):
        fix_of("", ["A"], "", False, None)


def block(sent_ms: int) -> bytes:
    payload = Payload(timestamp=sent_ms)
    payload.metrics.add(
        name="Temperature",
        timestamp=sent_ms,
        datatype=DataType.DATA_TYPE_DOUBLE,
        double_value=21.5,
    )
    return payload.SerializeToString()


async def fill(broker: Broker) -> None:
    client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    jetstream = client.jetstream()
    telemetry = configurations(Settings.from_environment({}))[0]
    await jetstream.add_stream(telemetry)
    reasons = (dl.DEAD_LETTER_REASON_TIME_IN_FUTURE,) * 4 + (dl.DEAD_LETTER_REASON_UNDECODABLE,)
    for number, reason in enumerate(reasons):
        cut = -4 if reason == dl.DEAD_LETTER_REASON_UNDECODABLE else None
        letter = dl.DeadLetter(
            dead_letter_id=f"telemetry-{number}",
            reason=reason,
            detail=f"the detail of {number}",
            topic="spBv1.0/riverside/DDATA/gw/P-101",
            payload=block(SENT_MS + DAY_MS + number)[:cut],
        )
        letter.receive_time.FromMilliseconds(SENT_MS + number)
        await jetstream.publish("deadletter.x.riverside.gw", letter.SerializeToString())
    await client.close()


async def telemetry(broker: Broker) -> list[Payload]:
    client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    jetstream = client.jetstream()
    last = (await jetstream.stream_info("TELEMETRY")).state.last_seq
    found = [await jetstream.get_msg("TELEMETRY", n) for n in range(1, last + 1)]
    await client.close()
    return [Payload.FromString(message.data or b"") for message in found]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server with five dead letters, and its address."""
    root = tmp_path_factory.mktemp("server")
    broker = Broker(root / "broker")
    broker.start()
    port = free_port()
    child = Child(
        "cloud_api",
        ["-m", "cloud_api"],
        {
            **broker.environment,
            "HEADRACE_DATA_DIR": str(root / "data"),
            "HEADRACE_HTTP_PORT": str(port),
            "HEADRACE_GRPC_PORT": str(free_port()),
            "HEADRACE_ADMIN_PASSWORD": PASSWORD,
            "HEADRACE_API_TOKEN": TOKEN,
        },
        root / "cloud.log",
    )
    try:
        child.start()
        with ApiClient(f"http://127.0.0.1:{port}") as client:
            deadline = time.monotonic() + 90
            while not client.ready():
                assert time.monotonic() < deadline, child.tail()
                time.sleep(0.05)
            client.sign_in("admin", PASSWORD)
            token = client.post("/v1/session/tokens", {"title": "cli"})["token"]
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}", token=token, broker=broker)
    finally:
        child.stop()
        broker.stop()


def run(server: Any, *arguments: str) -> Result:
    return CliRunner().invoke(
        app,
        ["dead-letters", *arguments, "--server", server.url],
        env={"HEADRACE_API_TOKEN": server.token, "COLUMNS": "200"},
    )


def good(server: Any, *arguments: str) -> str:
    done = run(server, *arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_from_the_empty_list_to_the_last_one_discarded(
    server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No processor reads the log here: replays stay under way.
    monkeypatch.setattr("headrace.dead_letters.WAIT_SECONDS", 0.0)
    assert "every message could be used" in run(server, "list").output
    asyncio.run(fill(server.broker))

    listed = json.loads(good(server, "list", "--json"))
    assert listed["total"] == 5
    assert "the detail of 4" in good(server, "list", "--reason", "undecodable")
    shown = good(server, "show", "telemetry-4", "--hex")
    assert "Its bytes are no Sparkplug payload." in shown
    assert "Temperature" in shown
    assert "reading ends" in shown
    assert "000000  08" in shown

    difference = good(
        server, "fix", "telemetry-0", "--why", "x", "--shift-time", "-1d", "--dry-run"
    )
    assert "time of sending: 2026-01-02T00:00:00.000Z → 2026-01-01T00:00:00.000Z" in difference
    assert "open" in good(server, "show", "telemetry-0")
    fixed = good(
        server,
        *("fix", "telemetry-0", "--why", "a day ahead", "--shift-time", "-1d"),
        *("--set", "Temperature=20.5", "--yes"),
    )
    assert "replayed, under way" in fixed
    assert "a day ahead" in good(server, "show", "telemetry-0")

    filters = ("--reason", "TIME_IN_FUTURE", "--site", "riverside")
    counted = good(server, "replay", "--why", "x", *filters, "--dry-run", "--json")
    assert json.loads(counted)["total"] == 3
    many = good(server, "replay", "--why", "a day ahead", *filters, "--shift-time", "-1d", "--yes")
    assert many.startswith("3 done, 0 passed over")
    again = good(server, "replay", "telemetry-1", "--why", "again", "--shift-time", "-1d")
    assert "replayed" in again

    deadline = time.monotonic() + 60
    while len(sent := asyncio.run(telemetry(server.broker))) < 4:
        assert time.monotonic() < deadline
    assert sorted(payload.timestamp for payload in sent) == [SENT_MS + n for n in range(4)]
    assert sent[0].metrics[0].double_value == 20.5

    refused = run(server, "replay", "telemetry-1", "--why", "another", "--shift-time", "-2d")
    assert refused.exit_code == 2
    assert "its replay is under way" in refused.output
    assert "discarded" in good(server, "discard", "telemetry-4", "--why", "torn")
    assert "No open dead letters" in run(server, "list").output
    assert json.loads(good(server, "list", "--state", "all", "--json"))["total"] == 5


def test_what_is_wrong_with_the_call_is_said_in_a_line(server: SimpleNamespace) -> None:
    for arguments, message in (
        (("show", "nothing"), "deadLetters/nothing does not exist"),
        (("fix", "telemetry-0", "--why", "x"), "say what to change"),
        (("list", "--state", "lost"), "--state"),
        (("list", "--since", "yesterday"), "is no time"),
    ):
        done = run(server, *arguments)
        assert done.exit_code == 2, done.output
        assert message in " ".join(done.output.split())
