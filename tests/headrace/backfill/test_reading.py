"""Reading the log takes no more rights than reading, and can be interrupted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import nats
import pytest

from headrace.backfill import reading
from headrace.broker import executable, free_port
from stream_processor.settings import Settings
from stream_processor.streams import TELEMETRY, ensure

# What docs/contracts.md says a reader needs.
USERS = """
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{store}" }}
authorization {{
  users: [
    {{ user: owner, password: secret }}
    {{ user: reader, password: secret, permissions: {{
      publish: [
        "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.INFO.>",
        "$JS.API.CONSUMER.MSG.NEXT.>", "$JS.API.CONSUMER.DELETE.>"
      ]
      subscribe: ["_INBOX.>"]
    }} }}
  ]
}}
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A broker with an owner and a reader; yields the environment of the reader."""
    port = free_port()
    configuration = tmp_path / "nats.conf"
    configuration.write_text(USERS.format(port=port, store=tmp_path / "store"))
    with (tmp_path / "nats.log").open("ab") as output:
        server = subprocess.Popen(
            [executable(), "--config", str(configuration)], stdout=output, stderr=output
        )
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < deadline, (tmp_path / "nats.log").read_text()
            time.sleep(0.02)
    yield {
        "HEADRACE_NATS_URL": f"nats://127.0.0.1:{port}",
        "HEADRACE_BROKER_USER": "reader",
        "HEADRACE_BROKER_PASSWORD": "secret",
    }
    server.terminate()
    server.wait(30)


def test_a_user_who_may_only_read_is_enough(
    log: Any,
    guarded: dict[str, str],
    backfill: Any,
    file: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log.broker.stop()
    url = guarded["HEADRACE_NATS_URL"]

    async def put(what: Callable[[Any], Any]) -> Any:
        connection = await nats.connect(url, user="owner", password="secret")
        try:
            return await what(connection.jetstream())
        finally:
            await connection.close()

    monkeypatch.setattr(log, "do", lambda what: asyncio.run(put(what)))
    log.do(lambda jetstream: ensure(jetstream, Settings.from_environment(guarded)))
    log.write(
        ("rules.test_rig", file().encode()),
        ("rulebook.test_rig", file().encode()),
    )
    log.births()
    log.send(20, 90, 90, 90)
    for name, value in guarded.items():
        monkeypatch.setenv(name, value)

    found = backfill.document("--since", "1h", text=file(2))

    assert (found["same"], found["blocks"]) == (1, 4)


@pytest.mark.slow
def test_an_interrupt_shows_what_was_read_until_then(
    log: Any, backfill: Any, file: Callable[..., str]
) -> None:
    log.births()
    log.send(20, 90, 90, 90, *[20.0] * 300)
    path = backfill.folder / "tried.toml"
    path.write_text(file())
    options = ("--since", "1h", "--rate", "5", "--rules", str(path))
    run = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli", "stream", "backfill", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ),
        # Whatever runs the tests may have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )

    async def asked(jetstream: Any) -> int:
        consumers = await jetstream.consumers_info(TELEMETRY)
        return max((c.delivered.stream_seq for c in consumers if c.num_pending), default=0)

    deadline = time.monotonic() + 120
    # When it asks for more it has taken what came before: the alarm is among the first six.
    while log.do(asked) < 12:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    said, complaints = run.communicate(timeout=60)

    assert run.returncode == 130, complaints
    assert b"interrupted" in complaints
    assert b"Traceback" not in complaints
    document = json.loads(said)
    assert document["stopped"] is True
    assert document["added"] == 1
    assert 4 <= document["blocks"] < 304
    assert not log.do(lambda jetstream: jetstream.consumers_info(TELEMETRY))


def test_reading_goes_on_where_it_was_when_the_broker_is_back(
    log: Any, broker: Any, tmp_path: Path
) -> None:
    log.births()
    log.send(*[20.0] * 60)
    settings = Settings.from_environment(broker.environment)

    async def read() -> list[int]:
        found = []
        wanted = reading.subjects()
        async with aclosing(reading.read(settings, wanted, None, 60, batch=7)) as messages:
            async for stored in messages:
                found.append(stored.message.log_sequence)
                if len(found) == 10:
                    await asyncio.to_thread(broker.kill)
                    await asyncio.to_thread(broker.start)
        return found

    assert asyncio.run(read()) == list(range(1, 61))
