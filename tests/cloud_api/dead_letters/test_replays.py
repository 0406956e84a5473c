"""From a broken message to points: server, processor and broker as they run in a plant."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from erp_modules.kernel.unit_of_work import Database
from stream_processor.v1 import dead_letter_pb2 as dl

DAY_MS = 86_400_000

pytestmark = pytest.mark.slow


class Gateway:
    """A gateway of a site of its own, whose batches are numbered."""

    def __init__(self, log: Any, said: Any, now_ms: int) -> None:
        self.site = f"site-{secrets.token_hex(3)}"
        self.log, self.said, self.now_ms = log, said, now_ms
        self.batch = 0
        self.publish("NBIRTH", said.node_birth(), "")
        self.publish("DBIRTH", said.device_birth())

    def publish(self, kind: str, payload: bytes, device: str = "P-101") -> None:
        levels = ["spBv1.0", self.site, kind, "gw", *([device] if device else [])]
        self.log.publish("/".join(levels), payload)

    def block(self, value: float, start_ms: int, spoil: Callable[[bytes], bytes] = bytes) -> None:
        self.batch += 1
        self.publish("DDATA", spoil(self.said.block(self.batch, [value], start_ms)))

    def means(self) -> dict[int, list[float]]:
        """Return the means of the temperature by the time of their second."""
        found: dict[int, list[float]] = {}
        for points in self.log.points(self.site):
            for aggregate in points.aggregates:
                for time_ms, mean in zip(aggregate.time_ms, aggregate.mean, strict=True):
                    found.setdefault(time_ms, []).append(mean)
        return found


@pytest.fixture
def plant(server: Any, processor_of: Any, log_of: Any, said: Any) -> tuple[Gateway, Any]:
    processor = processor_of(server)
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    return Gateway(log_of(server.broker), said, now_ms), processor


def letters(client: httpx.Client, **filters: Any) -> list[dict[str, Any]]:
    answer = client.get("/v1/deadLetters", params=filters)
    assert answer.status_code == 200, answer.text
    return list(answer.json().get("deadLetters", []))


def post(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_what_was_broken_is_fixed_and_its_points_are_there(
    plant: tuple[Gateway, Any], browser: httpx.Client, until: Callable[..., Any]
) -> None:
    gateway, _ = plant
    start = gateway.now_ms - 60_000
    gateway.block(20.0, start)
    gateway.block(21.0, start + 1000, spoil=lambda data: data[:-2])
    gateway.block(22.0, start + 2000)
    gateway.block(23.0, start + 3000 + DAY_MS)
    gateway.block(24.0, start + 4000)
    until(lambda: len(letters(browser, site=gateway.site)) == 2)
    ahead, broken = letters(browser, site=gateway.site)
    assert (ahead["reason"], broken["reason"]) == ("TIME_IN_FUTURE", "UNDECODABLE")
    until(lambda: start + 4000 in gateway.means())
    assert sorted(gateway.means()) == [start, start + 2000, start + 4000]

    # As it came it is set aside again, and the new letter names the first.
    post(browser, f"{broken['name']}:replay", reason="as it came")
    again = until(
        lambda: [one for one in letters(browser, site=gateway.site) if one.get("replayOf")]
    )[0]
    assert again["replayOf"] == broken["name"]

    post(browser, f"{again['name']}:replay", reason="cut", fix={"keepDecoded": True})
    shift = {"shiftTime": "-86400s"}
    for _ in range(2):
        post(browser, f"{ahead['name']}:replay", reason="a day ahead", fix=shift)

    def taken() -> bool:
        found = letters(browser, site=gateway.site)
        outcomes = {one["name"]: one.get("outcome") for one in found}
        return {outcomes[again["name"]], outcomes[ahead["name"]]} == {"REPLAY_OUTCOME_TAKEN"}

    until(taken)
    until(lambda: {start + 1000, start + 3000} <= set(gateway.means()))
    means = gateway.means()
    assert means[start + 1000] == [21.0]
    assert means[start + 3000] == [23.0]
    history = browser.get(f"/v1/{ahead['name']}").json()["history"]
    assert [step["outcomeDetail"] for step in history] == ["taken late: for the historian alone"]

    # The flow itself goes on where it was.
    gateway.block(25.0, start + 5000)
    until(lambda: start + 5000 in gateway.means())


def test_a_kill_of_the_processor_between_changes_nothing(
    plant: tuple[Gateway, Any], browser: httpx.Client, until: Callable[..., Any]
) -> None:
    gateway, processor = plant
    start = gateway.now_ms - 60_000
    gateway.block(20.0, start)
    gateway.block(21.0, start + 1000 + DAY_MS)
    gateway.block(22.0, start + 2000)
    until(lambda: letters(browser, site=gateway.site))
    (ahead,) = letters(browser, site=gateway.site)
    processor.kill()
    post(browser, f"{ahead['name']}:replay", reason="a day ahead", fix={"shiftTime": "-86400s"})
    processor.start()
    until(lambda: start + 1000 in gateway.means())
    processor.kill()
    processor.start()
    until(lambda: letters(browser, site=gateway.site)[0].get("outcome") == "REPLAY_OUTCOME_TAKEN")
    # At least once, and the same: what is written twice changes nothing.
    assert set(gateway.means()[start + 1000]) == {21.0}
    assert len(letters(browser, site=gateway.site)) == 1


def test_a_kill_of_the_server_between_sends_it_once(
    new_server: Callable[..., Any], log_of: Any, until: Callable[..., Any]
) -> None:
    running = new_server()
    running.start()
    running.until(ready=True)
    log = log_of(running.broker)
    log.make()
    log.set_aside(
        dl.DeadLetter(
            dead_letter_id="telemetry-1",
            reason=dl.DEAD_LETTER_REASON_NO_BIRTH,
            topic="spBv1.0/riverside/DDATA/gw/P-101",
            payload=b"once",
        )
    )
    with running.browser() as client:
        until(lambda: letters(client))
        post(client, "deadLetters/telemetry-1:replay", reason="a test")
        until(lambda: log.replayed("telemetry-1"))
    running.process.kill()
    running.process.wait()
    # As if it had been killed after the broker had it and before that was noted.
    database = Database(running.database_url)
    with database.engine.begin() as connection:
        connection.execute(text("update dead_letter_steps set log_sequence = 0"))
    database.close()
    running.start()
    running.until(ready=True)
    with running.browser() as client:
        found = until(
            lambda: [
                one["history"][0]["logSequence"]
                for one in [client.get("/v1/deadLetters/telemetry-1").json()]
                if one["history"][0].get("logSequence", "0") != "0"
            ]
        )
    (sent,) = log.replayed("telemetry-1")
    assert found == [str(sent.seq)]
