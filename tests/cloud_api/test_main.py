"""The process: how it starts, ends, and lives through the broker's absence."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from headrace.broker import Broker, free_port
from stream_processor.v1.points_pb2 import Points

START = 1_767_225_600_000


def publish(broker: Broker, second: int) -> None:
    async def send() -> None:
        client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
        points = Points(site="plant", equipment="P-101")
        points.series.add(name="health", unit="1", time_ms=[START + 1000 * second], value=[second])
        await client.jetstream().publish("points.plant.P-101", points.SerializeToString())
        await client.close()

    asyncio.run(send())


def health(client: httpx.Client, count: int) -> list[float]:
    """Wait until there are `count` points and return them."""
    deadline = time.monotonic() + 60
    while True:
        answer = client.get("/v1/equipment/P-101/points?series=health")
        assert answer.status_code == 200, answer.text
        values: list[float] = answer.json()["value"]
        if len(values) >= count:
            return values
        assert time.monotonic() < deadline, values
        time.sleep(0.05)


def test_a_first_password_is_printed_once_and_everything_is_kept(
    new_server: Callable[..., Any],
) -> None:
    server = new_server(password="")
    server.start()
    server.until(ready=True)
    printed = re.search(r"as admin with the password (\S+)", server.printed())
    assert printed is not None
    assert printed[1] not in server.log()
    publish(server.broker, 1)
    with server.browser(password=printed[1]) as client:
        assert health(client, 1) == [1.0]
        session = client.cookies["headrace_session"]
    with connect(
        f"ws://127.0.0.1:{server.http_port}/v1/live",
        additional_headers={"Authorization": f"Bearer {server.token}"},
        proxy=None,
    ) as watching:
        assert json.loads(watching.recv())["type"] == "hello"
        assert server.stop() == 0
        with pytest.raises(ConnectionClosed):
            watching.recv(timeout=20)
    server.start()
    server.until(ready=True)
    assert server.printed().count("password") == 1
    with server.stranger() as client:
        client.cookies["headrace_session"] = session
        assert health(client, 1) == [1.0]
    assert server.stop() == 0


def test_it_starts_without_a_broker_and_is_ready_when_there_is_one(
    new_server: Callable[..., Any],
) -> None:
    server = new_server()
    server.broker.stop()
    server.start()
    server.until(ready=False)
    with server.stranger() as client:
        while True:
            try:
                assert client.get("/healthz").status_code == 200
                break
            except httpx.TransportError:
                continue
        parts = client.get("/readyz").json()
        assert parts["ready"] is False
        assert parts["parts"]["broker"] is False
    server.broker.start()
    server.until(ready=True)
    server.broker.kill()
    server.until(ready=False)
    server.broker.start()
    server.until(ready=True)
    publish(server.broker, 1)
    with server.browser() as client:
        assert health(client, 1) == [1.0]
    assert server.stop() == 0


def test_a_killed_server_loses_no_point(new_server: Callable[..., Any]) -> None:
    server = new_server()
    server.start()
    server.until(ready=True)
    publish(server.broker, 1)
    with server.browser() as client:
        assert health(client, 1) == [1.0]
    publish(server.broker, 2)
    server.process.kill()
    server.process.wait()
    publish(server.broker, 3)
    server.start()
    server.until(ready=True)
    with server.browser() as client:
        assert health(client, 3) == [1.0, 2.0, 3.0]
    assert server.stop() == 0


def test_a_taken_port_and_a_bad_setting_are_named(new_server: Callable[..., Any]) -> None:
    server = new_server()
    server.start()
    server.until(ready=True)
    for changes, word in (
        ({"HEADRACE_DATA_DIR": str(server.directory / "other")}, "HEADRACE_HTTP_PORT"),
        (
            {
                "HEADRACE_DATA_DIR": str(server.directory / "third"),
                "HEADRACE_HTTP_PORT": str(free_port()),
            },
            "HEADRACE_GRPC_PORT",
        ),
        ({"HEADRACE_HTTP_PORT": "http"}, "HEADRACE_HTTP_PORT"),
        ({"HEADRACE_HTTP_PORT": "0"}, "HEADRACE_HTTP_PORT"),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "cloud_api"],
            env={**server.environment, **changes},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 2, ended.stderr
        assert word in ended.stderr.splitlines()[-1]
        assert "Traceback" not in ended.stderr
    assert server.stop() == 0
