"""The one store that all partitions had before each had its own: it is divided at the first start.

What it keeps is of a partition of the log, of an edge node or of a machine. An edge node's
partition is known by its name, a machine's by the edge node that announced it.
"""

from __future__ import annotations

import pickle
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import structlog

from stream_processor.recovery import MADE, held, initialize, part_of
from stream_processor.schema import StateError
from stream_processor.streams import partition_of

# Steps whose states are of a partition of the log, by its number, and of an edge node.
BY_PARTITION = ("headrace.telemetry", "headrace.to_historian")
BY_EDGE_NODE = "headrace.acquisition"
# Sinks of which there was one for all, with what they counted; and those that remember nothing.
FOR_ALL = ("headrace.to_maintenance", "headrace.to_dead_letters")
WITHOUT_STATE = ("headrace.to_edge_nodes", "headrace.acknowledgements")

# The epoch that the states are of in the new stores, the first that the engine has for items, and
# the one that goes on from there.
EPOCH, NEXT_EPOCH = 1, 2

log = structlog.get_logger(__name__)


def divide(directory: Path, partitions: int, stopping: threading.Event) -> None:
    """Divide the single store in `directory` into `partition-{p}/`, and set it aside.

    Nothing happens when there is none. A start that is cut short is made good by the next one. What
    was set aside can be deleted; nothing reads it again.

    Raises:
        StateError: the store is of another number of partitions.
        StillHeldError: `stopping` was set while an earlier processor had the store.
    """
    store = part_of(directory)
    if not store.exists():
        return
    with held(directory, stopping):
        if not store.exists():
            return
        divided = directory / "divided"
        if not divided.exists():
            if any(directory.glob(f"partition-*/{MADE}")):
                log.warning(
                    "a single store is older than those of the partitions", store=str(store)
                )
            elif (directory / MADE).exists():
                dividing = directory / "dividing"
                shutil.rmtree(dividing, ignore_errors=True)
                if _divide(store, dividing, partitions):
                    dividing.rename(divided)
        if divided.exists():
            for made in sorted(divided.iterdir()):
                # There may be one of a start that was cut short, never used.
                shutil.rmtree(directory / made.name, ignore_errors=True)
                made.rename(directory / made.name)
            divided.rmdir()
        _set_aside(directory, store)


def _set_aside(directory: Path, store: Path) -> None:
    """Move the single store out of the way, the part that says there is one last."""
    last_written = datetime.fromtimestamp(store.stat().st_mtime, UTC)
    aside = directory / f"before-partitions-{last_written:%Y%m%dT%H%M%SZ}"
    aside.mkdir(exist_ok=True)
    for path in [directory / MADE, *sorted(directory.glob(f"{store.name}-*")), store]:
        if path.exists():
            path.rename(aside / path.name)
    log.warning("the single store of all partitions is set aside", directory=str(aside))


def _divide(store: Path, into: Path, partitions: int) -> bool:
    """Make the stores of the partitions; return False when there is nothing to put in them."""
    with closing(sqlite3.connect(store)) as single, ExitStack() as opened:
        epoch = _resume_epoch(single)
        numbers = {key for _, key, _ in _states(single, epoch, "headrace.telemetry")}
        if not numbers:
            return False
        if numbers != {str(p) for p in range(partitions)}:
            raise StateError(
                f"the store {store} is of {len(numbers)} partitions: start once with"
                f" HEADRACE_PARTITIONS={len(numbers)}, so that it can be divided"
            )
        nodes = _nodes(single, epoch)
        stores = []
        for partition in range(partitions):
            own = into / f"partition-{partition}"
            own.mkdir(parents=True)
            initialize(own)
            made = opened.enter_context(closing(sqlite3.connect(part_of(own))))
            made.execute(
                "INSERT INTO exs (ex_num, worker_count, resume_epoch) VALUES (0, 1, ?)",
                (NEXT_EPOCH,),
            )
            stores.append(made)
        count = 0
        for step, key, state in _states(single, epoch):
            count += 1
            for partition, own_key in _places(step, key, nodes, partitions):
                stores[partition].execute(
                    "INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change)"
                    " VALUES (?, ?, ?, ?)",
                    (step, own_key, EPOCH, state),
                )
        for made in stores:
            made.commit()
    log.info("a single store was divided", store=str(store), partitions=partitions, states=count)
    return True


def _resume_epoch(single: sqlite3.Connection) -> int:
    """Return the epoch from which the last execution, of one worker, would be resumed."""
    row = single.execute(
        "SELECT MAX(resume_epoch, IFNULL((SELECT MAX(worker_frontier) FROM fronts"
        " WHERE fronts.ex_num = exs.ex_num), 0)) FROM exs ORDER BY ex_num DESC LIMIT 1"
    ).fetchone()
    return int(row[0]) if row else 0


def _states(
    single: sqlite3.Connection, epoch: int, step: str | None = None
) -> Iterator[tuple[str, str, bytes]]:
    """Yield step, key and last durable state, pickled, of all steps or of one."""
    yield from single.execute(
        "SELECT step_id, state_key, ser_change FROM snaps JOIN ("
        " SELECT step_id, state_key, MAX(snap_epoch) AS snap_epoch FROM snaps"
        " WHERE snap_epoch < ?1 GROUP BY step_id, state_key"
        ") USING (step_id, state_key, snap_epoch)"
        " WHERE ser_change IS NOT NULL AND (?2 IS NULL OR step_id = ?2)",
        (epoch, step),
    )


def _nodes(single: sqlite3.Connection, epoch: int) -> dict[str, set[str]]:
    """Return the edge nodes that announced each machine, both by the keys of their states."""
    found: dict[str, set[str]] = {}
    for _, key, pickled in _states(single, epoch, BY_EDGE_NODE):
        state = pickle.loads(pickled)
        site = key.partition("/")[0]
        for name in (*state["births"]["devices"], *state.get("last_times", ())):
            found.setdefault(f"{site}/{name}", set()).add(key)
    return found


def _places(
    step: str, key: str, nodes: dict[str, set[str]], partitions: int
) -> list[tuple[int, str]]:
    """Return the partitions that a state goes to, and its key there.

    A machine that no edge node announced of late goes to all of them, one that several did to all
    of theirs: where nothing comes of it, it is never touched again.
    """
    if step in WITHOUT_STATE:
        return []
    if step in BY_PARTITION:
        return [(int(key), key)]
    if step in FOR_ALL:
        return [(0, "0")]
    if step == BY_EDGE_NODE:
        return [(_partition(key, partitions), key)]
    known = nodes.get(key)
    if known is None:
        return [(partition, key) for partition in range(partitions)]
    return [(partition, key) for partition in sorted({_partition(n, partitions) for n in known})]


def _partition(node: str, partitions: int) -> int:
    site, _, edge_node = node.partition("/")
    return partition_of(site, edge_node, partitions)
