"""The cloud's door for gateways, with an authority of its own, and agents in the fleet."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.v1.report_pb2 import GatewayReport
from headrace.broker import Broker

PEM = serialization.Encoding.PEM
TOKEN = "one-time"
# A check for updates is nice: on a busy machine it takes its time.
PATIENCE_S = 150.0


class Authority:
    """Issues certificates."""

    def __init__(self, name: str = "Test") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.issue(self.key.public_key(), self.name, timedelta(days=10), ca=True)
        self.pem = self.certificate.public_bytes(PEM).decode()

    def issue(
        self,
        key: Any,
        subject: x509.Name,
        life: timedelta,
        ca: bool = False,
        age: timedelta = timedelta(minutes=1),
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - age)
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256())
        )


@dataclass
class CloudDoor:
    """Answers enrolments and renewals; `change` may change an answer before it goes out."""

    authority: Authority = field(default_factory=Authority)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
    life: timedelta = timedelta(days=30)
    age: timedelta = timedelta(minutes=1)
    broker_port: int = 8883
    url: str = ""

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((path, body))
        request = x509.load_pem_x509_csr(body["csrPem"].encode())
        if not request.is_signature_valid:
            return 400, {"detail": "the request is not signed by its key"}
        if path == "/v1/gateways:enrol" and body["token"] != TOKEN:
            return 401, {"detail": "the token is not good"}
        if path == "/v1/gateways:renew":
            old = x509.load_pem_x509_certificate(body["certificatePem"].encode())
            old.verify_directly_issued_by(self.authority.certificate)
            key = old.public_key()
            assert isinstance(key, ec.EllipticCurvePublicKey)
            key.verify(
                base64.b64decode(body["signature"]),
                body["csrPem"].encode(),
                ec.ECDSA(hashes.SHA256()),
            )
        certificate = self.authority.issue(
            request.public_key(), request.subject, self.life, age=self.age
        )
        answer = {
            "certificatePem": certificate.public_bytes(PEM).decode(),
            "caPem": self.authority.pem,
            "expireTime": certificate.not_valid_after_utc.isoformat(),
        }
        if path == "/v1/gateways:enrol":
            answer |= {
                "brokerHost": "127.0.0.1",
                "brokerPort": self.broker_port,
                "tufRoot": base64.b64encode(b'{"signed": {}}').decode(),
            }
        return 200, self.change(answer)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, door: CloudDoor, *given: Any) -> None:
        self.door = door
        super().__init__(*given)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.door.answer(self.path, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


@pytest.fixture
def door() -> Iterator[CloudDoor]:
    """A cloud that enrols whoever has the token."""
    door = CloudDoor()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, door))
    door.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield door
    server.shutdown()
    server.server_close()


@pytest.fixture
def gateway_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gateway file with its data folder beside it."""
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path / "data"))
    file = tmp_path / "gateway.toml"
    file.write_text(
        'site = "riverside"\nedge_node = "gw-1"\n'
        '[[drivers]]\nkind = "plugin"\nfactory = "firmware_sim.driver:create"\n'
    )
    return file


@dataclass
class FleetAgent:
    """An agent's process in a folder of its own, started again when it asks for it."""

    folder: Path
    environment: dict[str, str]
    gateway: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def log(self) -> Path:
        return self.folder / "agent.log"

    def start(self) -> None:
        self.starts += 1
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", str(self.gateway)],
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment, "HEADRACE_LOG_FORMAT": "json"},
            )

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the log with this event."""
        if not self.log.exists():
            return []
        lines = self.log.read_bytes().splitlines()
        found = [json.loads(line) for line in lines if line.startswith(b"{")]
        return [line for line in found if line["event"] == name]

    async def until(self, enough: Callable[[], Any]) -> Any:
        """Wait until something is true of it, and return that."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := enough()):  # noqa: ASYNC110 (another process does it)
                await asyncio.sleep(0.1)
        return found

    async def ended(self) -> int:
        """Return its exit code."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, PATIENCE_S)


@pytest.fixture
def agent(tmp_path: Path, broker: Broker) -> Iterator[FleetAgent]:
    """An agent that is not started yet, gone after the test."""
    environment = {**broker.environment, "HEADRACE_DATA_DIR": str(tmp_path / "data")}
    agent = FleetAgent(tmp_path, environment, tmp_path / "gateway.toml")
    yield agent
    if agent.process is not None:
        agent.process.kill()
        agent.process.wait()


@dataclass
class Reports:
    """The reports that the cloud got."""

    got: list[GatewayReport] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, enough: Callable[[GatewayReport], Any]) -> GatewayReport:
        """Wait for a report of which something is true."""
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: any(map(enough, self.got)))
        return next(filter(enough, self.got))


@pytest.fixture
async def reports(broker: Broker) -> AsyncIterator[Reports]:
    """A cloud that listens to reports already."""
    reports = Reports()
    listening = asyncio.Event()

    async def listen() -> None:
        async with aiomqtt.Client(
            broker.host, broker.mqtt_port, username=broker.user, password=broker.password
        ) as client:
            await client.subscribe("headrace/report/riverside/gw-1", qos=1)
            listening.set()
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                async with reports.changed:
                    reports.got.append(GatewayReport.FromString(message.payload))
                    reports.changed.notify_all()

    task = asyncio.create_task(listen())
    await listening.wait()
    yield reports
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
