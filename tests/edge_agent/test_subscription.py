from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from edge_agent.subscription import subscribe
from headrace.broker import executable, free_port


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a broker whose only user may hear `open` and nothing else."""
    mqtt = free_port()
    configuration = tmp_path / "nats.conf"
    configuration.write_text(
        f"""
        server_name: headrace
        listen: "127.0.0.1:{free_port()}"
        jetstream {{ store_dir: "{tmp_path}" }}
        mqtt {{ listen: "127.0.0.1:{mqtt}" }}
        authorization {{
          users: [{{ user: ada, password: x, permissions: {{ subscribe: ["open"] }} }}]
        }}
        """,
        encoding="utf-8",
    )
    process = subprocess.Popen([executable(), "--config", str(configuration)])
    yield mqtt
    process.kill()
    process.wait()


async def test_a_subscription_that_the_broker_refuses_is_an_error(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                client = aiomqtt.Client("127.0.0.1", port, username="ada", password="x")
                async with client:
                    await subscribe(client, "open", 0)
                    with pytest.raises(aiomqtt.MqttError, match="refused the subscription to 'sh"):
                        await subscribe(client, "shut", 0)
                    return
            except aiomqtt.MqttError:
                # The server is still starting.
                await asyncio.sleep(0.1)
