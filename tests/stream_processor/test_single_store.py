"""A store that earlier code made goes on in the stores of the partitions."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import nats
import pytest
from bytewax.recovery import init_db_dir

from stream_processor.recovery import StillHeldError
from stream_processor.schema import StateError
from stream_processor.settings import Settings
from stream_processor.single_store import divide
from stream_processor.streams import ensure, partition_of

PARTITIONS = 4
RUNNING = threading.Event()
Store = dict[str, Any]


@pytest.fixture
def earlier(earlier_state: Callable[[str], Any]) -> Store:
    return dict(earlier_state("store-0f89f99"))


def write(directory: Path, earlier: Store, **position: Any) -> Path:
    """Write the store as earlier code did, its places in the log changed to `position`."""
    directory.mkdir(parents=True, exist_ok=True)
    init_db_dir(directory, 1)
    (directory / "made").touch()
    with closing(sqlite3.connect(directory / "part-0.sqlite3")) as store:
        for row in earlier["exs"]:
            store.execute(
                "INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (?, ?, ?)", row
            )
        for row in earlier["fronts"]:
            store.execute(
                "INSERT INTO fronts (ex_num, worker_index, worker_frontier) VALUES (?, ?, ?)", row
            )
        for step, key, epoch, state in earlier["snaps"]:
            if step == "headrace.telemetry":
                state = state | position
            store.execute(
                "INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change)"
                " VALUES (?, ?, ?, ?)",
                (step, key, epoch, pickle.dumps(state)),
            )
        store.commit()
    return directory


def snaps(directory: Path) -> dict[tuple[str, str], Any]:
    with closing(sqlite3.connect(directory / "part-0.sqlite3")) as store:
        rows = store.execute("SELECT step_id, state_key, ser_change FROM snaps").fetchall()
    return {(step.removeprefix("headrace."), key): pickle.loads(state) for step, key, state in rows}


def test_every_state_is_where_the_log_is_read(tmp_path: Path, earlier: Store) -> None:
    write(tmp_path, earlier)
    divide(tmp_path, PARTITIONS, RUNNING)
    stores = [snaps(tmp_path / f"partition-{p}") for p in range(PARTITIONS)]
    for i in range(5):
        own = partition_of("riverside", f"gateway-{i}", PARTITIONS)
        for p, found in enumerate(stores):
            assert (("acquisition", f"riverside/gateway-{i}") in found) == (p == own)
            assert (("echo", f"riverside/P-{i}") in found) == (p == own)
    for p, found in enumerate(stores):
        assert [key for step, key in found if step == "telemetry"] == [str(p)]
        assert {key for step, key in found if step.startswith("to_")} <= {str(p)}
    assert stores[0]["to_maintenance", "0"]["counts"] == {"advisories": 25}
    assert not (tmp_path / "part-0.sqlite3").exists()
    (aside,) = tmp_path.glob("before-partitions-*")
    assert (aside / "part-0.sqlite3").exists()
    assert (aside / "made").exists()


def test_what_no_single_node_announced_goes_wherever_it_may_come_from(
    tmp_path: Path, earlier: Store
) -> None:
    births = {
        key: state["births"]["devices"]
        for step, key, _, state in earlier["snaps"]
        if step == "headrace.acquisition"
    }
    births["riverside/gateway-1"]["P-0"] = births["riverside/gateway-0"]["P-0"]
    del births["riverside/gateway-2"]["P-2"]
    for step, key, _, state in earlier["snaps"]:
        if (step, key) == ("headrace.acquisition", "riverside/gateway-2"):
            del state["last_times"]["P-2"]
    write(tmp_path, earlier)
    divide(tmp_path, PARTITIONS, RUNNING)
    stores = [snaps(tmp_path / f"partition-{p}") for p in range(PARTITIONS)]
    both = {partition_of("riverside", f"gateway-{i}", PARTITIONS) for i in (0, 1)}
    assert {p for p in range(PARTITIONS) if ("echo", "riverside/P-0") in stores[p]} == both
    assert all(("echo", "riverside/P-2") in found for found in stores)


def test_only_what_is_durable_counts(tmp_path: Path, earlier: Store) -> None:
    later = [
        (step, key, 4, {**state, "sequence": 10**6})
        for step, key, epoch, state in earlier["snaps"]
        if step == "headrace.telemetry" and epoch == 3
    ]
    earlier["snaps"] += later
    write(tmp_path, earlier)
    divide(tmp_path, PARTITIONS, RUNNING)
    places = [snaps(tmp_path / f"partition-{p}")["telemetry", str(p)] for p in range(PARTITIONS)]
    assert max(place["sequence"] for place in places) < 100


@pytest.mark.parametrize("cut_after", ["dividing", "divided", "one partition", "all partitions"])
def test_a_start_that_was_cut_short_is_made_good(
    tmp_path: Path, earlier: Store, cut_after: str
) -> None:
    write(tmp_path / "whole", earlier)
    divide(tmp_path / "whole", PARTITIONS, RUNNING)
    whole = [tmp_path / "whole" / f"partition-{p}" for p in range(PARTITIONS)]
    expected = [snaps(made) for made in whole]
    directory = write(tmp_path / "cut", earlier)
    if cut_after == "dividing":
        (directory / "dividing").mkdir()
        whole[0].rename(directory / "dividing" / "partition-0")
    else:
        there = {"divided": 0, "one partition": 1, "all partitions": PARTITIONS}[cut_after]
        if there < PARTITIONS:
            (directory / "divided").mkdir()
        for p, made in enumerate(whole):
            made.rename(directory / ("divided" if p >= there else "") / made.name)
    divide(directory, PARTITIONS, RUNNING)
    assert [snaps(directory / f"partition-{p}") for p in range(PARTITIONS)] == expected
    assert not (directory / "divided").exists()
    assert not (directory / "part-0.sqlite3").exists()


def test_stores_that_went_on_since_are_left_alone(tmp_path: Path, earlier: Store) -> None:
    write(tmp_path / "partition-1", {"exs": [], "fronts": [], "snaps": []})
    write(tmp_path, earlier)
    divide(tmp_path, PARTITIONS, RUNNING)
    assert snaps(tmp_path / "partition-1") == {}
    assert not (tmp_path / "partition-0").exists()
    assert list(tmp_path.glob("before-partitions-*/part-0.sqlite3"))


def test_a_store_in_which_nothing_was_ever_stored_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path, {"exs": [[0, 1, 1]], "fronts": [], "snaps": []})
    divide(tmp_path, PARTITIONS, RUNNING)
    assert not list(tmp_path.glob("partition-*"))
    assert list(tmp_path.glob("before-partitions-*/part-0.sqlite3"))


def test_another_number_of_partitions_is_refused(tmp_path: Path, earlier: Store) -> None:
    write(tmp_path, earlier)
    with pytest.raises(StateError, match="HEADRACE_PARTITIONS=4"):
        divide(tmp_path, 8, RUNNING)
    assert (tmp_path / "part-0.sqlite3").exists()


def test_an_earlier_processor_that_still_runs_is_waited_for(tmp_path: Path, earlier: Store) -> None:
    write(tmp_path, earlier)
    stopping = threading.Event()
    stopping.set()
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StillHeldError):
            divide(tmp_path, PARTITIONS, stopping)
    assert (tmp_path / "part-0.sqlite3").exists()


def test_a_processor_goes_on_where_the_earlier_one_ended(
    broker: Any,
    maintenance: Any,
    agents: list[Any],
    tmp_path: Path,
    earlier: Store,
    wait_until: Callable[..., Any],
) -> None:
    found = {key: s for step, key, _, s in earlier["snaps"] if step == "headrace.acquisition"}
    created, last = asyncio.run(log_of(broker, agents))
    write(tmp_path / "recovery", earlier, created=created, sequence=last)
    processor = sys.modules[type(maintenance).__module__].Processor(broker, maintenance, tmp_path)
    processor.start()
    try:
        for agent in agents:
            # What it had acknowledged is acknowledged again, and nothing else happened.
            wait_until(lambda agent=agent: agent.acknowledged() == (1, 5), what=processor.tail)
        assert maintenance.ids == set()
        for agent in agents:
            # Right after what it said before, in whatever year this is.
            state = found[f"riverside/{agent.edge_node}"]
            after = state["last_times"][agent.equipment][1] + 1
            agent.block(6, start_ms=after, sent_ms=after)
        for agent in agents[:4]:
            wait_until(lambda agent=agent: agent.acknowledged() == (1, 6), what=processor.tail)
        wait_until(lambda: agents[4].acknowledged() == (1, 7), what=processor.tail)
        # The stage has counted on, and what waited for its place has come.
        assert {(a.equipment, a.advisory_id[-1], a.summary) for a in maintenance.reported} == {
            *((agent.equipment, "6", "6") for agent in agents),
            ("P-4", "7", "7"),
        }
        totals = processor.counters()
        assert (totals["received"], totals["advisories"], totals["lost"]) == (41, 31, 0)
        assert processor.terminate() == 0
    finally:
        if processor.process.poll() is None:
            processor.kill()


@pytest.mark.slow
def test_a_store_of_newer_code_is_refused_in_so_many_words(
    broker: Any, maintenance: Any, tmp_path: Path, earlier: Store
) -> None:
    write(tmp_path / "recovery", earlier, schema=99)
    environment = {
        **os.environ,
        **broker.environment,
        "HEADRACE_DATA_DIR": str(tmp_path),
        "HEADRACE_GRPC_PORT": str(maintenance.port),
        "HEADRACE_API_TOKEN": "a token of the tests",
        "HEADRACE_LOG_FORMAT": "json",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "stream_processor"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert ended.returncode == 1
    last = json.loads(ended.stderr.splitlines()[-1])
    assert last["event"] == "cannot go on from what was stored"
    assert last["why"] == (
        "the state of telemetry has schema 99, this code knows 2:"
        " run the version that wrote it, or a newer one"
    )


async def log_of(broker: Any, agents: list[Any]) -> tuple[str, int]:
    """Make a log in which the agents said what the earlier processor took; return where it ends."""
    connection = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    try:
        settings = Settings.from_environment({**broker.environment, "HEADRACE_API_TOKEN": "t"})
        await ensure(connection.jetstream(), settings)
        for agent in agents:
            agent.births()
            for batch in (1, 2, 3, 4, 5):
                sent = agent.block(batch)
            if agent is agents[4]:
                sent = agent.block(7)
            await asyncio.to_thread(sent.wait_for_publish, 30)
        answer = await connection.request("$JS.API.STREAM.INFO.TELEMETRY", b"", timeout=10)
        log = json.loads(answer.data)
        return str(log["created"]), int(log["state"]["last_seq"])
    finally:
        await connection.close()
