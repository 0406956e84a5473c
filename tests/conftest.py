"""What every test can ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.broker import Broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A real NATS server with MQTT and JetStream, on free ports, gone after the test."""
    server = Broker(tmp_path / "broker")
    server.start()
    yield server
    server.stop()
