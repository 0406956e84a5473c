"""What every test can ask for."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edge_agent import settings
from edge_agent.inference import MODELS
from edge_agent.updates import check
from edge_agent.updates.job import Job, Outcome
from edge_agent.updates.schedule import job_of
from edge_agent.updates.store import Store
from headrace import broker as broker_module
from headrace.broker import Broker, free_port

# Workers beside each other take ports of their own: one may not use yet what it was given.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
broker_module.OWN_PORTS = range(12_000 + WORKER % 4 * 5000, 17_000 + WORKER % 4 * 5000)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A real NATS server with MQTT and JetStream, on free ports, gone after the test."""
    server = Broker(tmp_path / "broker")
    server.start()
    yield server
    server.stop()


def _durable() -> str:
    return (Path(__file__).parents[1] / "deploy/mosquitto/headrace.conf").read_text("utf-8")


@dataclass
class Mosquitto:
    """A plant's own broker, with the configuration of `deploy/mosquitto` unless told otherwise."""

    folder: Path
    lines: str = field(default_factory=_durable)
    listener: str = "allow_anonymous true"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.folder.mkdir(exist_ok=True)
        file = self.folder / "mosquitto.conf"
        # It gives root away and could not write to the test's folder any more.
        user = "user root\n" if os.geteuid() == 0 else ""
        file.write_text(
            f"{user}listener {self.port} 127.0.0.1\n{self.listener}\n"
            f"persistence_location {self.folder}/\n{self.lines}\n"
        )
        with (self.folder / "mosquitto.log").open("ab") as output:
            self.process = subprocess.Popen(
                [_mosquitto(), "-c", str(file)], stdout=output, stderr=output
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None, (self.folder / "mosquitto.log").read_text()
                assert time.monotonic() < deadline, "mosquitto does not listen"
                time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def _mosquitto() -> str:
    return shutil.which("mosquitto") or "/usr/sbin/mosquitto"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A real Mosquitto on a free port, started and gone after the test."""
    if not os.access(_mosquitto(), os.X_OK):
        pytest.skip("Mosquitto is not installed here (Debian: mosquitto)")
    server = Mosquitto(tmp_path / "mosquitto")
    server.start()
    yield server
    server.kill()


class UpdateRepository:
    """A repository of The Update Framework, made by its own library, behind a real server.

    Root and targets are signed by a key that a server never has, the rest by one that it has. What
    is changed counts once `publish` signed it; `answers` maps the end of a path to what answers
    instead of the file.
    """

    def __init__(self, folder: Path) -> None:
        from securesystemslib.signer import CryptoSigner
        from tuf.api.metadata import (
            DelegatedRole,
            Delegations,
            Metadata,
            Root,
            Snapshot,
            Targets,
            Timestamp,
        )

        self.folder = folder
        self.offline, self.online = (CryptoSigner.generate_ed25519() for _ in range(2))
        later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365)
        root = Root(expires=later, consistent_snapshot=True)
        for role, signer in (
            ("root", self.offline),
            ("targets", self.offline),
            ("snapshot", self.online),
            ("timestamp", self.online),
        ):
            root.add_key(signer.public_key, role)
        targets, rollouts = Targets(expires=later), Targets(expires=later)
        key = self.online.public_key
        role = DelegatedRole("rollouts", [key.keyid], 1, True, ["rollouts/*.json"])
        targets.delegations = Delegations({key.keyid: key}, {"rollouts": role})
        self.roles: dict[str, Metadata[Any]] = {
            "root": Metadata(root),
            "targets": Metadata(targets),
            "rollouts": Metadata(rollouts),
            "snapshot": Metadata(Snapshot(expires=later)),
            "timestamp": Metadata(Timestamp(expires=later)),
        }
        self.answers: dict[str, Callable[[SimpleHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []
        self._sign("root")
        self.root_bytes = (self._metadata / "1.root.json").read_bytes()
        self.publish()
        handler = partial(_UpdateHandler, self, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def _metadata(self) -> Path:
        return self.folder / "v1/updates/metadata"

    def add(self, path: str, content: bytes, role: str = "targets") -> None:
        """Let a role answer for a target."""
        from tuf.api.metadata import TargetFile

        target = TargetFile.from_data(path, content, ["sha256"])
        self.roles[role].signed.targets[path] = target
        self.place(path, target.hashes["sha256"], content)

    def place(self, path: str, digest: str, content: bytes) -> None:
        """Put a content where a target with that SHA-256 is served."""
        folder, _, name = path.rpartition("/")
        file = self.folder / "v1/updates/targets" / folder / f"{digest}.{name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def add_model(self, equipment_class: str, version: str, weights: bytes, /, **card: Any) -> None:
        """Let a model be there, with what is to be different on the card of the shipped one."""
        said = json.loads((MODELS / f"{equipment_class}.json").read_text(encoding="utf-8"))
        said |= {"version": version, **card}
        base = f"models/{equipment_class}/{version}"
        self.add(f"{base}/model.tflite", weights)
        self.add(f"{base}/model.json", json.dumps(said).encode())

    def roll_out(self, site: str, *items: dict[str, Any]) -> None:
        """Replace the rollouts of a site."""
        self.add(f"rollouts/{site}.json", rollouts_document(*items), "rollouts")

    def publish(self, *roles: str) -> None:
        """Sign what changed, and what names it, with the next versions."""
        from tuf.api.metadata import MetaFile

        for role in roles or ("targets", "rollouts"):
            if (self._metadata / "timestamp.json").exists():
                self.roles[role].signed.version += 1
            self._sign(role)
        snapshot = self.roles["snapshot"].signed
        for role in ("targets", "rollouts"):
            snapshot.meta[f"{role}.json"] = MetaFile(self.roles[role].signed.version)
        if (self._metadata / "timestamp.json").exists():
            snapshot.version += 1
            self.roles["timestamp"].signed.version += 1
        self.roles["timestamp"].signed.snapshot_meta = MetaFile(snapshot.version)
        self._sign("snapshot")
        self._sign("timestamp")

    def _sign(self, role: str, signer: Any = None) -> None:
        metadata = self.roles[role]
        metadata.sign(signer or (self.offline if role in ("root", "targets") else self.online))
        self.write(role, metadata.to_bytes())

    def write(self, role: str, content: bytes) -> None:
        """Serve a content as a role's newest metadata."""
        version = self.roles[role].signed.version
        name = "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"
        self._metadata.mkdir(parents=True, exist_ok=True)
        (self._metadata / name).write_bytes(content)

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()


class _UpdateHandler(SimpleHTTPRequestHandler):
    def __init__(self, repository: UpdateRepository, *given: Any, **named: Any) -> None:
        self.repository = repository
        super().__init__(*given, **named)

    def do_GET(self) -> None:
        self.repository.asked.append(self.path)
        for end, answer in self.repository.answers.items():
            if self.path.endswith(end):
                answer(self)
                return
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


def rollouts_document(*items: dict[str, Any]) -> bytes:
    """Return the rollouts of a site as the cloud writes them; what is left out has its usual."""
    usual = {"state": "rolling", "group": "default", "percent": 100, "salt": "s", "rollout": "r1"}
    return json.dumps([{**usual, "previous_version": "", **item} for item in items]).encode()


@pytest.fixture
def update_repository(tmp_path: Path) -> Iterator[UpdateRepository]:
    """An update repository that holds nothing yet."""
    repository = UpdateRepository(tmp_path / "repository")
    yield repository
    repository.close()


@dataclass
class UpdatedGateway:
    """A gateway's updates, checked for in this process; `steps` are those of the last check."""

    folder: Path
    job: Job
    steps: list[str] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(Path(self.job.folder))

    def check(self) -> Outcome:
        self.steps.clear()
        return check.check(self.job, self.steps.append)


@pytest.fixture
def updated_gateway(tmp_path: Path, update_repository: UpdateRepository) -> UpdatedGateway:
    """A gateway of the site `riverside` that trusts the repository and never checked before.

    Its gateway file, `gateway.toml`, has the data folder beside it.
    """
    local = tmp_path / "gateway.toml"
    local.write_text(
        'site = "riverside"\nedge_node = "gw-1"\n'
        f'[updates]\nserver = "{update_repository.url}"\nconfiguration = "line-1"\n'
        "stall_s = 1.0\nleast_rate_bytes_s = 1e6\nmax_target_bytes = 1_000_000\n"
        '[[drivers]]\nkind = "plugin"\nfactory = "firmware_sim.driver:create"\n',
        encoding="utf-8",
    )
    given = settings.read(local, {"HEADRACE_DATA_DIR": str(tmp_path / "data")})
    job = job_of(given, local)
    Path(job.root).parent.mkdir(parents=True)
    Path(job.root).write_bytes(update_repository.root_bytes)
    return UpdatedGateway(tmp_path, job)


@pytest.fixture
def shipped() -> Callable[[str], bytes]:
    """Return the weights that ship with the agent, by equipment class."""
    return lambda name: (MODELS / f"{name}.tflite").read_bytes()
