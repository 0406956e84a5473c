"""A gateway with its own certificate: let in, told things, let out again; all parts are real."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import pytest
from typer.testing import CliRunner

from edge_agent.fleet.enrolment import enrol, renew
from edge_agent.main import RESTART
from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from headrace import release_signing
from headrace.broker import Broker, TlsFiles, free_port
from headrace.cli import app
from headrace.client import ApiClient
from headrace.supervisor import Child

TOKEN = "a-token-of-the-processor-0123456789"
SITE, NODE = "riverside", "gw-1"
NAME = f"gateways/{SITE}~{NODE}"
GATEWAY = f"""
site = "{SITE}"
edge_node = "{NODE}"
[fleet]
report_interval_s = 1.0
[[drivers]]
kind = "plugin"
factory = "firmware_sim.driver:create"
"""


def wait(condition: Callable[[], Any], what: str, *children: Child) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, (what, [child.tail() for child in children])
        time.sleep(0.1)


def headrace(*arguments: str, **environment: str) -> str:
    """Run `headrace fleet …` and return what it printed."""
    done = CliRunner().invoke(app, ["fleet", *arguments], env=environment)
    assert done.exit_code == 0, done.output
    return done.stdout


async def acknowledged(broker: Broker) -> int:
    """Wait until the processor says over MQTT that it has a batch of the gateway; return which."""
    client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    try:
        subscription = await client.subscribe(f"headrace.ack.{SITE}.{NODE}")
        return Acknowledgement.FromString((await subscription.next_msg(120)).data).sequence
    finally:
        await client.close()


@pytest.mark.slow
@pytest.mark.xdist_group("e2e")
def test_a_certificate_lets_a_gateway_in_until_it_is_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, keys = tmp_path / "data", tmp_path / "keys"
    release_signing.make_keys(keys)
    release_signing.install(keys, data / "updates")
    broker = Broker(tmp_path / "nats", tls=TlsFiles(data / "broker"))
    identity = tmp_path / "processor.pem"
    headrace("broker", "127.0.0.1", "--data-dir", str(data), **broker.environment)
    service = headrace("service-certificate", "processor", str(identity), "--data-dir", str(data))
    port, grpc_port = free_port(), free_port()
    cloud = Child(
        "cloud_api",
        ["-m", "cloud_api"],
        {
            **broker.environment,
            "HEADRACE_DATA_DIR": str(data),
            "HEADRACE_HTTP_PORT": str(port),
            "HEADRACE_GRPC_PORT": str(grpc_port),
            "HEADRACE_API_TOKEN": TOKEN,
            "HEADRACE_BROKER_SERVICES": service.strip(),
            "HEADRACE_ADMIN_PASSWORD": "a long password",
            "HEADRACE_BROKER_PID_FILE": str(broker.pid_file),
        },
        tmp_path / "cloud.log",
    )
    processor = Child(
        "stream_processor",
        ["-m", "stream_processor"],
        {
            **broker.environment,
            "HEADRACE_DATA_DIR": str(tmp_path / "processor"),
            "HEADRACE_GRPC_PORT": str(grpc_port),
            "HEADRACE_API_TOKEN": TOKEN,
            "HEADRACE_MQTT_AUTHORITY": str(data / "broker" / "authority.pem"),
            "HEADRACE_MQTT_CERTIFICATE": str(identity),
        },
        tmp_path / "processor.log",
    )
    # Another machine: it knows nothing of the server's secrets.
    gateway = {"HEADRACE_DATA_DIR": str(tmp_path / "gateway"), "HEADRACE_LOG_FORMAT": "json"}
    monkeypatch.setenv("HEADRACE_DATA_DIR", gateway["HEADRACE_DATA_DIR"])
    assert not [name for name in os.environ if name.startswith("HEADRACE_BROKER")]
    file = tmp_path / "gateway.toml"
    file.write_text(GATEWAY)
    agent = Child("agent", ["-m", "edge_agent", str(file)], gateway, tmp_path / "agent.log")
    broker.start()
    try:
        cloud.start()
        with ApiClient(f"http://127.0.0.1:{port}") as client:
            wait(client.ready, "the server", cloud)
            processor.start()
            client.sign_in("admin", "a long password")
            issued = client.post(
                "/v1/enrolmentTokens:issue", {"site": SITE, "edgeNode": NODE, "lifetime": "600s"}
            )
            enrolled = enrol(f"http://127.0.0.1:{port}", issued["token"], file)
            assert enrolled.broker_port == broker.mqtt_port
            file.write_text(file.read_text() + enrolled.lines)
            renew(f"http://127.0.0.1:{port}", file)

            def seen() -> dict[str, Any]:
                return client.get(f"/v1/{NAME}")

            def done(command: dict[str, Any]) -> bool:
                told = client.get(f"/v1/{command['name']}")
                return bool(told["state"] == "COMMAND_STATE_DONE")

            agent.start()
            wait(lambda: seen()["connection"] == "CONNECTION_ONLINE", "a report", agent, cloud)
            assert seen()["report"]["certificateSerial"] == seen()["certificateSerial"]

            batch = asyncio.run(acknowledged(broker))
            assert batch >= 1, processor.tail()

            command = client.post(f"/v1/{NAME}:setLogLevel", {"level": "debug"})
            wait(lambda: done(command), "an outcome", agent, cloud)
            wait(lambda: seen()["report"]["logLevel"] == "debug", "the level", agent, cloud)

            command = client.post(f"/v1/{NAME}:restart", {})
            wait(lambda: agent.returncode() is not None, "an end", agent)
            assert agent.returncode() == RESTART
            wait(lambda: done(command), "an outcome", agent, cloud)
            before = seen()["report"]["bootEpoch"]
            agent.start()
            wait(lambda: seen()["report"]["bootEpoch"] != before, "another start", agent, cloud)

            client.post(f"/v1/{NAME}:revoke", {"reason": "it was stolen"})
            lost = agent.log.read_text().count('"broker lost"')
            wait(
                lambda: agent.log.read_text().count('"broker lost"') >= lost + 2,
                "the end of its session, and no other",
                agent,
                cloud,
            )
            assert seen()["state"] == "GATEWAY_STATE_REVOKED"
    finally:
        agent.stop()
        processor.stop()
        cloud.stop()
        broker.stop()
