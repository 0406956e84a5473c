"""The module with a real authority and update repository, and gateways that report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.message import Message

from cloud_api.fleet_authority import open_authority
from cloud_api.fleet_broker import BrokerList, Login
from cloud_api.updates import UpdateRepository
from edge_agent.v1 import report_pb2
from erp_modules.fleet import commands, reports
from erp_modules.fleet.manifest import manifest
from erp_modules.fleet.ports import Order, Ports
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.delivery import settle
from erp_modules.kernel.errors import Unavailable
from erp_modules.kernel.ids import SequentialIds
from headrace import release_signing

ADA = Principal("users/ada", roles=frozenset({Role.ADMIN}))
CARD = {"equipment_class": "fan"}


@dataclass
class Sender:
    """Stands for the way to the gateways: keeps what was sent, or is away."""

    sent: list[Order] = field(default_factory=list)
    away: bool = False

    def send(self, order: Order, now: datetime) -> None:
        if self.away:
            raise Unavailable("the broker is away")
        self.sent.append(order)


@dataclass
class Key:
    """A gateway's key with the request for it."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def csr(self) -> str:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "anything")])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        request = builder.sign(self.private, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, text: str) -> bytes:
        return self.private.sign(text.encode(), ec.ECDSA(hashes.SHA256()))


@pytest.fixture
def clock() -> ManualClock:
    # The certificates' and the metadata's real times begin now.
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder of keys whose repository the server has."""
    folder = tmp_path / "keys"
    release_signing.make_keys(folder)
    release_signing.install(folder, tmp_path / "data" / "updates")
    return folder


@pytest.fixture
def updates(keys: Path, tmp_path: Path) -> UpdateRepository:
    return UpdateRepository(tmp_path / "data" / "updates")


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.fixture
def broker_list(tmp_path: Path) -> BrokerList:
    path = tmp_path / "data" / "broker" / "users.conf"
    return BrokerList("mqtt.example", 8883, path, Login("headrace", "secret"))


@pytest.fixture
def ports(
    updates: UpdateRepository, broker_list: BrokerList, sender: Sender, tmp_path: Path
) -> Ports:
    return Ports(open_authority(tmp_path / "data"), updates, broker_list, sender)


@pytest.fixture
def on_both(database_url: str) -> str:
    """Lets a test run on both databases."""
    return database_url


@pytest.fixture
def app(request: pytest.FixtureRequest, clock: ManualClock, ports: Ports) -> Iterator[Application]:
    both = "on_both" in request.fixturenames
    url: str = request.getfixturevalue("on_both" if both else "sqlite_url")
    application = bootstrap(url, manifests=[manifest(ports)], clock=clock, ids=SequentialIds())
    yield application
    application.close()


@pytest.fixture
def call(app: Application) -> Callable[..., Any]:
    """Calls an RPC by `Service.Method`, as Ada unless a principal is given."""

    def call_(method: str, message: Message, principal: Principal = ADA) -> Any:
        return app.call(f"erp_modules.fleet.v1.{method}", message, principal)

    return call_


@pytest.fixture
def deliver(app: Application) -> Callable[[], None]:
    """Hands every event to its handlers."""
    return lambda: settle(app)


@pytest.fixture
def run_job(app: Application) -> Callable[[str], None]:
    """Runs a job by its name, once."""

    def run(name: str) -> None:
        job = next(job for job in app.jobs if job.name == name)
        app.run(app.system("default", "fleet"), job.run)

    return run


@pytest.fixture
def report(app: Application, clock: ManualClock) -> Callable[..., None]:
    """Lets a gateway report: `report("e1", fan="1.0")`; `models` are given as they are."""

    def report_(
        edge_node: str,
        *models: report_pb2.ModelReport,
        site: str = "plant",
        group: str = "default",
        **versions: str,
    ) -> None:
        told = report_pb2.GatewayReport(
            site=site, edge_node=edge_node, group=group, report_interval_s=60
        )
        told.models.extend(models)
        for subject, version in versions.items():
            told.models.add(
                equipment_class=subject,
                version=version,
                state=report_pb2.INSTALLATION_STATE_RUNNING,
            )
        reports.check(told)
        app.run(app.system("default", "fleet"), lambda ctx: reports.record(ctx, told, clock.now()))

    return report_


@pytest.fixture
def answer(app: Application) -> Callable[[report_pb2.CommandOutcome], bool]:
    """Lets a gateway answer a command."""

    def answer_(outcome: report_pb2.CommandOutcome) -> bool:
        commands.check_outcome(outcome)
        return app.run(
            app.system("default", "fleet"), lambda ctx: commands.record_outcome(ctx, outcome)
        )

    return answer_


@pytest.fixture
def publish(call: Callable[..., Any], keys: Path) -> Callable[..., list[pb.Release]]:
    """Signs and publishes versions of the model `fan`."""

    def publish_(*versions: str) -> list[pb.Release]:
        files: dict[str, bytes] = {}
        for version in versions:
            base = f"models/fan/{version}"
            files[f"{base}/model.tflite"] = f"weights of {version}".encode()
            files[f"{base}/model.json"] = json.dumps({**CARD, "version": version}).encode()
        signed = release_signing.sign(keys, files)
        request = pb.PublishReleasesRequest(
            targets=signed.targets,
            files=[pb.TargetContent(path=p, content=c) for p, c in signed.files.items()],
        )
        answered = call("ReleaseService.PublishReleases", request)
        release_signing.keep(keys, signed)
        return list(answered.releases)

    return publish_


@pytest.fixture
def token(call: Callable[..., Any]) -> Callable[..., str]:
    """Makes a one-time token."""

    def token_(edge_node: str = "e1", hours: float = 1.0) -> str:
        request = pb.IssueEnrolmentTokenRequest(site="plant", edge_node=edge_node)
        request.lifetime.FromTimedelta(timedelta(hours=hours))
        made: str = call("EnrolmentTokenService.IssueEnrolmentToken", request).token
        return made

    return token_


@pytest.fixture
def new_key() -> type[Key]:
    return Key


@pytest.fixture
def enrol(call: Callable[..., Any], token: Callable[..., str]) -> Callable[..., Any]:
    """Enrols a gateway with a new token; returns its key and the answer."""

    def enrol_(edge_node: str = "e1", key: Key | None = None) -> tuple[Key, Any]:
        key = key or Key()
        request = pb.EnrolGatewayRequest(
            token=token(edge_node), csr_pem=key.csr, site="plant", edge_node=edge_node
        )
        return key, call("GatewayService.EnrolGateway", request, Principal("anonymous"))

    return enrol_
