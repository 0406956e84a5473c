"""The broker away, the agent killed, the clock stepped, the disk full: no reading is lost.

`HEADRACE_FAULTS=full` makes the runs as long as they are meant. Each prints its counts in a line.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Any:
    def line(what: str, **counts: Any) -> None:
        with capsys.disabled():
            print(f"\n{what}: " + ", ".join(f"{k} {v}" for k, v in counts.items()))  # noqa: T201

    return line


@pytest.mark.timeout(900)
def test_the_broker_is_away_for_a_simulated_hour(
    broker: Any, cloud: Any, edge: Any, tell: Any, full: bool
) -> None:
    machines, tags, seconds = 10, 50, 3600 if full else 300
    broker.kill()
    edge.start(
        "--until-drained",
        lines="max_unacknowledged = 1_000_000\nhealth_interval_s = 1",
        machines=machines,
        tags=tags,
        count=seconds,
    )
    cloud.until(lambda: edge.said("sources ended"), 400)
    waiting = sum(map(len, edge.in_spool().values()))
    before = edge.peak_mib()
    broker.start()
    began = time.monotonic()
    cloud.until(lambda: cloud.counts["frames"] == machines * seconds, 600)
    took = time.monotonic() - began
    after = edge.peak_mib()
    counts = edge.wait()

    assert waiting >= machines * seconds
    assert cloud.check_order() == machines
    assert (cloud.counts["lost"], cloud.aside, counts["dropped"], counts["depth"]) == (0, {}, 0, 0)
    tell(
        f"broker away for {seconds} simulated seconds of {machines * tags} tags",
        readings=machines * seconds * tags,
        batches=counts["sent"],
        lost=0,
        twice=0,
        drained_in_s=round(took, 1),
        peak_mib_before=round(before, 1),
        peak_mib_after=round(after, 1),
    )


@pytest.mark.timeout(400)
def test_the_broker_is_away_while_the_plant_runs(
    broker: Any, cloud: Any, edge: Any, tell: Any, full: bool
) -> None:
    away_s, rate = (60, 50) if full else (13, 50)
    count = (away_s + 6) * rate // 5
    edge.start(
        "--until-drained",
        lines="max_unacknowledged = 1_000_000",
        spool="drain_rate = 400",
        machines=5,
        count=count,
        rate_hz=float(rate),
    )
    cloud.until(lambda: cloud.counts["frames"] >= 50)
    broker.kill()
    time.sleep(away_s)
    broker.start()
    counts = edge.wait()
    cloud.until(lambda: cloud.counts["frames"] == 5 * count)

    assert cloud.check_order() == 5
    assert (cloud.counts["lost"], cloud.aside, counts["dropped"]) == (0, {}, 0)
    late = [received for *_, received, historical in cloud.frames if historical]
    # What waited for ten seconds came as history, and no faster than was configured.
    assert len(late) >= (away_s - 11) * rate
    assert (max(late) - min(late)) / 1000 > (len(late) - 100) / 400 * 0.9
    tell(
        f"broker away for {away_s} s",
        batches=counts["sent"],
        historical=len(late),
        lost=0,
        twice=0,
        duplicates_dropped=cloud.counts["duplicated"],
    )


@pytest.mark.timeout(900)
def test_the_agent_is_killed_at_random_moments(
    broker: Any, cloud: Any, edge: Any, tell: Any, full: bool
) -> None:
    kills = 50 if full else 6
    chance = random.Random(7)
    stored: dict[int, set[int]] = {}
    for kill in range(kills):
        # The broker is away for a third of them, so that many boots wait in the spool.
        if kill == kills // 3:
            broker.kill()
        elif kill == 2 * kills // 3:
            broker.start()
        edge.start(
            lines="max_unacknowledged = 1_000_000\nhealth_interval_s = 3600",
            machines=3,
            count=100_000,
            rate_hz=300.0,
        )
        cloud.until(lambda: edge.said("start"))
        time.sleep(chance.uniform(0.0, 1.5))
        edge.kill()
        if edge.spool.exists():
            for epoch, numbers in edge.in_spool().items():
                stored.setdefault(epoch, set()).update(numbers)
    edge.start("--until-drained", lines="health_interval_s = 3600", machines=3, count=10)
    counts = edge.wait()
    came: dict[int, set[int]] = {}
    for _, epoch, batch, *_ in cloud.frames:
        came.setdefault(epoch, set()).add(batch)

    cloud.check_order()
    assert (cloud.counts["lost"], cloud.aside, counts["depth"]) == (0, {}, 0)
    for epoch, numbers in stored.items():
        assert numbers <= came[epoch]
    for numbers in came.values():
        assert numbers == set(range(1, max(numbers) + 1))
    tell(
        f"{kills} kills of the agent",
        boots=len(came),
        batches=len(cloud.frames),
        stored_at_a_kill=sum(map(len, stored.values())),
        lost=0,
        twice=0,
        duplicates_dropped=cloud.counts["duplicated"],
        resends=len(cloud.asked),
    )


@pytest.mark.timeout(400)
def test_the_clock_is_stepped(cloud: Any, edge: Any, tell: Any, full: bool) -> None:
    clock = edge.folder / "clock"
    edge.environment["FAULTS_CLOCK"] = str(clock)
    steps = [0, 86_400, 0, -86_400, 0, -3600, 0, 3600] if full else [0, 86_400, -3600, -86_400]
    blocks = 60 if full else 20
    sent, boots = 0, []
    for turn, step in enumerate(steps):
        # Once while it runs, and once while it does not.
        clock.write_text(str(step))
        edge.start(
            "--until-drained",
            spool="max_age_h = 1.0",
            machines=2,
            count=blocks,
            rate_hz=100.0,
        )
        cloud.until(lambda sent=sent: cloud.counts["received"] > sent)
        clock.write_text(str(steps[turn - 1]))
        counts = edge.wait()
        assert (counts["dropped"], counts["depth"]) == (0, 0)
        sent += counts["sent"]
        boots.append(edge.said("born")[0]["boot_epoch"])
    cloud.until(lambda: cloud.counts["processed"] + cloud.aside.total() == sent)

    assert boots == sorted(set(boots)), "a boot epoch came twice, or went back"
    assert cloud.counts["lost"] == 0
    machines: dict[str, list[tuple[int, int]]] = {}
    for equipment, epoch, batch, *_ in cloud.frames:
        machines.setdefault(equipment, []).append((epoch, batch))
    assert all(came == sorted(set(came)) for came in machines.values())
    # A batch that says it was sent tomorrow is kept, but as a dead letter.
    assert set(cloud.aside) <= {"TIME_IN_FUTURE"}
    tell(
        f"{2 * len(steps)} clock steps of ±1 day and ±1 h",
        boots=len(boots),
        batches=sent,
        lost=0,
        twice=0,
        set_aside_as_of_the_future=cloud.aside.total(),
    )


@pytest.mark.parametrize("cap", ["size", "age"])
def test_the_cap_is_small(broker: Any, cloud: Any, edge: Any, tell: Any, cap: str) -> None:
    count = 400
    edge.environment["FAULTS_ALARM_EVERY"] = "50"
    broker.kill()
    edge.start(
        "--until-drained",
        lines="max_unacknowledged = 1_000_000\nhealth_interval_s = 0.1",
        # 400 blocks of 12.8 kB are 5 MB; made in two seconds.
        spool="max_bytes = 1_048_576" if cap == "size" else f"max_age_h = {1 / 3600}",
        count=count,
        waveform=3200,
        rate_hz=200.0,
    )
    cloud.until(lambda: edge.said("sources ended"))
    broker.start()
    counts = edge.wait()
    cloud.until(lambda: cloud.counts["processed"] + cloud.counts["lost"] == counts["sent"])

    cloud.check_order()
    assert (cloud.aside, cloud.asked) == ({}, [])
    # All that was dropped is told to the cloud, counted there, and in the log by kind and reason.
    assert cloud.counts["lost"] == counts["dropped"] > 0
    dropped = Counter[str]()
    for entry in edge.said("batches were dropped to make room"):
        dropped.update({name: n for name, n in entry.items() if f"_for_{cap}" in name})
    assert dropped.total() == counts["dropped"]
    kept = sorted(int(value) for _, _, _, _, value, *_ in cloud.frames)
    alarms = [n for n in kept if n % 50 == 0]
    if cap == "size":
        # Health first, then the oldest waveforms; alarms with theirs not at all.
        assert alarms == list(range(50, count + 1, 50))
        waveforms = [n for n in kept if n % 50]
        assert waveforms == [n for n in range(waveforms[0], count) if n % 50]
        assert set(dropped) == {"health_for_size", "waveform_for_size"}
    else:
        assert kept == list(range(kept[0], count + 1))
        assert dropped["alarm_for_age"] == count // 50 - len(alarms) > 0
    tell(
        f"cap of {'1 MiB' if cap == 'size' else '1 s'}",
        batches=counts["sent"],
        dropped_and_told=counts["dropped"],
        **dropped,
        alarms=len(alarms),
        lost_untold=0,
        twice=0,
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(hog: Path) -> int:
    """Write until there is no space; return how much."""
    with hog.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 12)):
                pass
        except OSError:
            return file.tell()
    raise AssertionError("the disk has no end")


@pytest.mark.timeout(400)
def test_the_disk_is_full(
    broker: Any, cloud: Any, edge: Any, tell: Any, small_disk: Path, full: bool
) -> None:
    # 12,000 blocks of 12.8 kB are 154 MB; 1 in 50 is an alarm.
    count = 12_000 if full else 7000
    edge.data = small_disk
    edge.environment["FAULTS_ALARM_EVERY"] = "50"
    broker.kill()
    edge.start(
        "--until-drained",
        lines="max_unacknowledged = 1_000_000\nhealth_interval_s = 0.5",
        count=count,
        waveform=3200,
        rate_hz=1500.0,
    )
    cloud.until(lambda: edge.spool.exists() and edge.spool.stat().st_size > 30 << 20)
    # Others take what is left, to the last byte, and give it back later.
    hog = small_disk / "hog"
    took = fill(hog)
    cloud.until(lambda: edge.said("spool cannot be written") or edge.said("sources ended"), 200)
    time.sleep(2)
    hog.unlink()
    cloud.until(lambda: edge.said("sources ended"), 200)
    assert edge.process.poll() is None
    broker.start()
    counts = edge.wait()
    cloud.until(lambda: cloud.counts["processed"] + cloud.counts["lost"] == counts["sent"])

    cloud.check_order()
    assert cloud.aside == {}
    # Each batch came, or was told to be lost: nothing is missing without being known.
    assert cloud.counts["lost"] == counts["dropped"] > 0
    alarms = {value for _, _, _, _, value, *_ in cloud.frames if value % 50 == 0}
    assert alarms == {float(n) for n in range(50, count + 1, 50)}
    tell(
        f"64 MB disk full, {took >> 20} MiB of it by others for a while",
        batches=counts["sent"],
        dropped_and_told=counts["dropped"],
        alarms=len(alarms),
        alarms_lost=0,
        lost_untold=0,
        twice=0,
        resends=len(cloud.asked),
    )
