"""Run Headrace's processes as one: start in order, watch, stop in reverse."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.broker import Broker, BrokerCluster


class SupervisorError(RuntimeError):
    """A process did not become ready, or ended when it should run."""


@dataclass
class Child:
    """A process of ours: how to start it, whether it may end, and how it is doing."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    may_end: bool = False
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it with its output in its log."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                # Ctrl-C goes to the supervisor alone, which then stops the others in order.
                start_new_session=True,
            )

    def returncode(self) -> int | None:
        """Return how it ended, None while it runs."""
        return None if self.process is None else self.process.poll()

    def tail(self, size: int = 1500) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def stop(self, timeout: float = 15.0) -> None:
        """Ask it to end; kill it after `timeout` seconds."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """The broker and every process around it, as a context manager."""

    def __init__(
        self,
        data_dir: Path,
        environment: Mapping[str, str],
        max_restarts: int = 5,
        broker: Broker | BrokerCluster | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.logs = data_dir / "logs"
        self.broker = broker or Broker(data_dir / "broker")
        self.environment = {**environment, **self.broker.environment}
        self.max_restarts = max_restarts
        self.children: list[Child] = []

    def __enter__(self) -> Self:
        """Start the broker."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.broker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything, the last started first."""
        for child in reversed(self.children):
            child.stop()
        self.broker.stop()

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        ready: Callable[[], bool] | None = None,
        timeout: float = 120.0,
        may_end: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a process and wait until `ready` says so.

        Raises:
            SupervisorError: it ended, or was not ready within `timeout` seconds.
        """
        child = Child(
            name,
            arguments,
            {**self.environment, **(environment or {})},
            self.logs / f"{name}.log",
            may_end,
        )
        child.start()
        self.children.append(child)
        deadline = time.monotonic() + timeout
        while ready is not None and not ready():
            if child.returncode() is not None:
                raise SupervisorError(
                    f"{name} ended with {child.returncode()} while starting; {child.log} ends:\n"
                    f"{child.tail()}"
                )
            if time.monotonic() > deadline:
                raise SupervisorError(
                    f"{name} was not ready within {timeout:.0f} s; {child.log} ends:\n"
                    f"{child.tail()}"
                )
            time.sleep(0.05)
        return child

    def check(self) -> list[str]:
        """Start again what ended on its own; return a line for each.

        Raises:
            SupervisorError: one ended more than `max_restarts` times.
        """
        said = []
        for child in self.children:
            code = child.returncode()
            if code is None or child.may_end:
                continue
            if child.restarts >= self.max_restarts:
                raise SupervisorError(
                    f"{child.name} ended {child.restarts + 1} times, the last with {code}; "
                    f"{child.log} ends:\n{child.tail()}"
                )
            child.restarts += 1
            child.start()
            said.append(f"{child.name} ended with {code} and was started again")
        return said
