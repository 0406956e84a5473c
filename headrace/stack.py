"""The whole of Headrace on this machine: broker, server and processor, then agents as asked for."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from headrace.broker import BrokerCluster, free_port, is_free
from headrace.client import ApiClient
from headrace.supervisor import Child, Supervisor

HTTP_PORT = 8080
GRPC_PORT = 50051


def _port(wanted: int) -> int:
    """Return `wanted` when it is free on the loopback interface, else any free port."""
    return wanted if is_free(wanted) else free_port()


def _admin_password(data_dir: Path) -> str:
    """Return the administrator's password of this data folder, a new one the first time."""
    kept = data_dir / "admin-password"
    if not kept.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(12), encoding="utf-8")
    return kept.read_text(encoding="utf-8")


@dataclass
class Stack:
    """What runs, and how to reach it."""

    supervisor: Supervisor
    data_dir: Path
    http_port: int
    grpc_port: int
    counters_ports: list[int]
    admin_password: str
    client: ApiClient

    @property
    def url(self) -> str:
        """Address of the web application and of REST."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc_target(self) -> str:
        """Address of the gRPC door."""
        return f"127.0.0.1:{self.grpc_port}"

    def counters(self) -> dict[str, Any]:
        """Return the processors' counters together; empty while one does not answer."""
        total: dict[str, Any] = {}
        for port in self.counters_ports:
            try:
                response = httpx.get(
                    f"http://127.0.0.1:{port}/counters", timeout=5, trust_env=False
                )
                if response.status_code != 200:
                    return {}
                total = _sum(total, response.json())
            except (httpx.TransportError, ValueError):
                return {}
        return total

    def start_agent(self, configuration: Path, until_drained: bool) -> Child:
        """Start an edge agent with the gateway file `configuration`."""
        arguments = ["-m", "edge_agent", str(configuration)]
        if until_drained:
            arguments.append("--until-drained")
        return self.supervisor.start(
            f"edge_agent-{configuration.stem}", arguments, may_end=until_drained
        )


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _sum(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return counters added up, name by name."""
    added = dict(one)
    for name, value in other.items():
        known = added.get(name)
        if isinstance(value, dict):
            added[name] = _sum(known or {}, value)
        else:
            added[name] = (known or 0) + value
    return added


@contextmanager
def running(
    data_dir: Path, fixed_ports: bool = False, processors: int = 1, brokers: int = 1
) -> Iterator[Stack]:
    """Start broker, server and processors with everything they keep in `data_dir`; stop them after.

    With `fixed_ports` the usual ports are taken when they are free. Of several `brokers` each has a
    copy of every stream; the server speaks to any of them, agents and processors over MQTT to the
    first.

    Raises:
        SupervisorError: one of them did not become ready.
        BrokerError: the broker did not start.
    """
    http_port = _port(HTTP_PORT) if fixed_ports else free_port()
    grpc_port = _port(GRPC_PORT) if fixed_ports else free_port()
    counters_ports = [free_port() for _ in range(processors)]
    password = _admin_password(data_dir)
    environment = {
        "HEADRACE_DATA_DIR": str(data_dir),
        "HEADRACE_HTTP_PORT": str(http_port),
        "HEADRACE_GRPC_PORT": str(grpc_port),
        "HEADRACE_ADMIN_PASSWORD": password,
        "HEADRACE_API_TOKEN": secrets.token_urlsafe(32),
        "HEADRACE_LOG_FORMAT": "json",
    }
    cluster = BrokerCluster(data_dir / "broker", brokers) if brokers > 1 else None
    with (
        Supervisor(data_dir, environment, broker=cluster) as supervisor,
        ApiClient(f"http://127.0.0.1:{http_port}") as client,
    ):
        stack = Stack(
            supervisor, data_dir, http_port, grpc_port, counters_ports, password, client
        )  # fmt: skip
        supervisor.start("cloud_api", ["-m", "cloud_api"], ready=client.ready)
        client.sign_in("admin", password)
        for process, port in enumerate(counters_ports):
            supervisor.start(
                "stream_processor" if processors == 1 else f"stream_processor-{process}",
                ["-m", "stream_processor"],
                ready=lambda port=port: _answers(port),  # type: ignore[misc]
                timeout=240,
                environment={
                    "HEADRACE_METRICS_PORT": str(port),
                    "HEADRACE_PROCESS": str(process),
                    "HEADRACE_PROCESSES": str(processors),
                },
            )
        yield stack
