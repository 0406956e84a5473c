"""A server of its own process, as `python -m cloud_api` starts it, and ways to talk to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
import pytest

from cloud_api.sign_in.accounts import Accounts
from cloud_api.sign_in.throttle import Throttle
from erp_modules.kernel.authorisation import Role
from erp_modules.kernel.clock import SystemClock
from erp_modules.kernel.unit_of_work import Database
from headrace.broker import Broker, free_port

PASSWORD = "correct horse battery staple"
SERVICE_TOKEN = "a-token-of-the-processor-0123456789"


@dataclass
class RunningServer:
    """`python -m cloud_api` with everything it keeps in `directory`."""

    directory: Path
    broker: Broker
    password: str = PASSWORD
    http_port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)
    token: str = SERVICE_TOKEN
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.directory / 'headrace.db'}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.broker.environment,
            "HEADRACE_DATA_DIR": str(self.directory),
            "HEADRACE_HTTP_PORT": str(self.http_port),
            "HEADRACE_GRPC_PORT": str(self.grpc_port),
            "HEADRACE_ADMIN_PASSWORD": self.password,
            "HEADRACE_API_TOKEN": self.token,
            "HEADRACE_LOG_FORMAT": "json",
        }

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "log").open("ab") as log, (self.directory / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cloud_api"],
                env=self.environment,
                stdout=out,
                stderr=log,
                cwd=Path(__file__).parents[2],
            )

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def until(self, ready: bool) -> None:
        """Wait until /readyz says so."""
        deadline = time.monotonic() + 60
        with httpx.Client(trust_env=False) as client:
            while time.monotonic() < deadline:
                assert self.process is not None
                assert self.process.poll() is None, self.log()
                try:
                    if (client.get(f"{self.url}/readyz").status_code == 200) is ready:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.05)
        raise AssertionError(f"not ready={ready} within a minute:\n{self.log()}")

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-4000:]

    def printed(self) -> str:
        return (self.directory / "out").read_text()

    def stranger(self) -> httpx.Client:
        """A browser that is not signed in."""
        return httpx.Client(base_url=self.url, headers={"Origin": self.url}, trust_env=False)

    @contextmanager
    def browser(self, user: str = "admin", password: str = PASSWORD) -> Iterator[httpx.Client]:
        """A browser that is signed in."""
        with self.stranger() as client:
            answer = client.post("/v1/session", json={"user": user, "password": password})
            assert answer.status_code == 200, answer.text
            yield client

    def service(self) -> httpx.Client:
        """A process with the service's token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False)

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}")

    def add_user(self, name: str, roles: set[Role], sites: set[str]) -> None:
        database = Database(self.database_url)
        accounts = Accounts(database, SystemClock(), Throttle(time.monotonic), "")
        accounts.add_user(name, PASSWORD, frozenset(roles), sites=frozenset(sites))
        database.close()


@contextmanager
def _running(root: Path) -> Iterator[RunningServer]:
    broker = Broker(root / "broker")
    broker.start()
    running = RunningServer(root / "data", broker)
    try:
        running.start()
        running.until(ready=True)
        yield running
        running.stop()
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def running_server() -> Callable[[Path], AbstractContextManager[RunningServer]]:
    """Runs a server with a broker in a folder."""
    return _running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a broker, shared: a test makes its own things in it and ends neither."""
    with _running(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def new_server(tmp_path: Path, broker: Broker) -> Iterator[Callable[..., RunningServer]]:
    """Makes servers that a test may start, stop and break; none is left after it."""
    made: list[RunningServer] = []

    def make(**settings: str | int) -> RunningServer:
        running = RunningServer(tmp_path / "data", broker, **settings)  # type: ignore[arg-type]
        made.append(running)
        return running

    yield make
    for running in made:
        if running.process is not None and running.process.poll() is None:
            running.process.kill()
            running.process.wait()


@pytest.fixture
def browser(server: RunningServer) -> Iterator[httpx.Client]:
    """A browser in which the administrator is signed in."""
    with server.browser() as client:
        yield client


@pytest.fixture
def stranger(server: RunningServer) -> Iterator[httpx.Client]:
    """A browser in which nobody is signed in."""
    with server.stranger() as client:
        yield client
