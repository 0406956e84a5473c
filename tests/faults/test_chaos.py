"""Whatever is killed, the books are those of an undisturbed pass over the log.

`HEADRACE_FAULTS=full` (`make chaos`) kills 200 times; else it is a few. The counts come as a table.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import nats
import pytest

from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from erp_modules.maintenance.manifest import MANIFEST
from erp_modules.maintenance.v1 import maintenance_pb2 as pb
from headrace import gateway
from headrace.broker import Broker
from headrace.demo.stores import Machine, fill
from headrace.stack import Stack, running
from headrace.supervisor import Child
from stream_processor.acquisition import Acquisition
from stream_processor.frames import Frame
from stream_processor.messages import Message
from stream_processor.stages import STAGES
from stream_processor.streams import TELEMETRY
from stream_processor.v1.alert_pb2 import Advisory

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

SITE = "riverside"
GATEWAYS, MACHINES, RATE_HZ = 4, 10, 6.0
KINDS = ("broker", "stream_processor", "cloud_api", "gateway")
HERE = Path(__file__).parent
PATIENCE_S = 600.0


@dataclass
class Pass:
    """What the log gives in one pass during which nothing is killed."""

    frames: int = 0
    advisories: list[Advisory] = field(default_factory=list)
    # By equipment and series, the value at each event time in milliseconds.
    points: dict[tuple[str, str], dict[int, float]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    # By edge node and boot epoch, the batches in the order in which they took effect.
    batches: dict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    lost: int = 0

    def take(self, frame: Frame, stages: list[Any]) -> None:
        """Take a frame through the stages of its machine."""
        self.frames += 1
        self.batches[frame.info.edge_node, frame.boot_epoch].append(frame.batch)
        item: Any = frame
        for stage in stages:
            item = stage.update(item)
        self.advisories += item.advisories
        for aggregate in item.points.aggregates:
            series = self.points[frame.info.equipment, aggregate.channel]
            series.update(zip(aggregate.time_ms, aggregate.mean, strict=True))


async def log_of(stack: Stack) -> AsyncIterator[Message]:
    """Yield every message of the telemetry log."""
    known = stack.supervisor.environment
    connection = await nats.connect(
        known["HEADRACE_NATS_URL"].split(","),
        user=known["HEADRACE_BROKER_USER"],
        password=known["HEADRACE_BROKER_PASSWORD"],
    )
    try:
        jetstream = connection.jetstream()
        last = (await jetstream.stream_info(TELEMETRY)).state.last_seq
        subscription = await jetstream.subscribe(
            "",
            stream=TELEMETRY,
            ordered_consumer=True,
            # All of it may wait here.
            pending_msgs_limit=-1,
            pending_bytes_limit=-1,
        )
        sequence = 0
        while sequence < last:
            found = await subscription.next_msg(timeout=30)
            sequence = found.metadata.sequence.stream
            stored_ms = int(found.metadata.timestamp.timestamp() * 1000)
            yield Message(found.subject, found.data, sequence, stored_ms)
    finally:
        await connection.close()


async def undisturbed(stack: Stack) -> Pass:
    found = Pass()
    nodes: dict[str, Acquisition] = defaultdict(Acquisition)
    machines: dict[str, list[Any]] = defaultdict(lambda: [kind() for _, kind in STAGES])
    async for message in log_of(stack):
        if len(message.levels) < 3:
            # STATE, which partitions do not read.
            continue
        for item in nodes[message.node_key].update(message, message.received_ms / 1000):
            if isinstance(item, Frame):
                found.take(item, machines[item.info.key])
    found.lost = sum(node.counts["lost"] for node in nodes.values())
    return found


def books_of(advisories: list[Advisory], folder: Path) -> dict[str, tuple[str, bool]]:
    """Return by alarm the ticket that books opened for it that nobody disturbs, and if it is over.

    Their names follow from their causes, so that they are the same in all books.
    """
    somebody = Principal("users/ada", roles=frozenset({Role.ADMIN}))
    application = bootstrap(f"sqlite:///{folder / 'undisturbed.db'}", manifests=[MANIFEST])
    try:
        found = {}
        for advisory in advisories:
            answer: Any = application.call(
                "erp_modules.maintenance.v1.AlarmService.ReportAdvisory",
                pb.ReportAdvisoryRequest(advisory=advisory),
                somebody,
            )
            found[answer.alarm.name] = (answer.alarm.ticket, answer.alarm.HasField("clear_time"))
        return found
    finally:
        application.close()


def wait(condition: Callable[[], Any], stack: Stack, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        counters = stack.counters()
        # Nobody brings these back: what waits for them waits in vain.
        assert not counters.get("lost"), (what, counters)
        assert time.monotonic() < deadline, (what, counters)
        stack.supervisor.check()
        time.sleep(0.05)


def wait_for_historian(stack: Stack, expected: Pass) -> None:
    differ: list[str] = []

    def agrees() -> bool:
        differ[:] = series_that_differ(stack, expected)
        return not differ

    try:
        wait(agrees, stack, "the historian")
    except AssertionError as error:
        raise AssertionError([*error.args, len(differ), *differ[:5]]) from error


def start_agent(stack: Stack, folder: Path, number: int, begin: float, enough: Path) -> Child:
    configuration = gateway.write(
        folder / f"gateway-{number}.toml",
        SITE,
        f"gateway-{number}",
        "plugin",
        {
            "first": number * MACHINES,
            "machines": MACHINES,
            "rate_hz": RATE_HZ,
            "begin": begin,
            "enough": str(enough),
        },
        factory="chaos_driver:create",
    )
    arguments = ["-m", "edge_agent", str(configuration), "--until-drained"]
    brokers = servers(stack)
    environment = {
        "PYTHONPATH": str(HERE),
        "HEADRACE_MQTT_PORT": str(brokers[number % len(brokers)].mqtt_port),
    }
    return stack.supervisor.start(f"gateway-{number}", arguments, environment=environment)


def servers(stack: Stack) -> list[Broker]:
    broker = stack.supervisor.broker
    return [broker] if isinstance(broker, Broker) else broker.servers


def kill(stack: Stack, name: str) -> None:
    child = next(c for c in stack.supervisor.children if c.name == name)
    assert child.process is not None
    child.process.kill()
    child.process.wait()
    # Started again at once, as whoever watches it would.
    assert stack.supervisor.check()


@dataclass
class Rounds:
    """What was killed, and how long it took until blocks took effect again."""

    stack: Stack
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def kill(self, turn: int) -> None:
        """Kill what is next in turn and wait until blocks take effect again."""
        kind, number = KINDS[turn % len(KINDS)], turn // len(KINDS)
        if kind == "broker":
            brokers = servers(self.stack)
            broker = brokers[number % len(brokers)]
            broker.kill()
            if len(brokers) > 1:
                # The others go on without it.
                self._recovered(kind)
                broker.start(120)
                return
            broker.start()
        else:
            names = [c.name for c in self.stack.supervisor.children if c.name.startswith(kind)]
            kill(self.stack, names[number % len(names)])
        self._recovered(kind)

    def _recovered(self, kind: str) -> None:
        stack, began = self.stack, time.monotonic()
        before = stack.counters().get("frames", 0)
        wait(
            lambda: stack.client.ready() and stack.counters().get("frames", 0) >= before + 100,
            stack,
            f"{kind} killed",
        )
        self.seconds[kind].append(time.monotonic() - began)


def out_of_order(found: Pass) -> list[str]:
    """Return of which boots batches are missing, twice or not in their place."""
    return [
        f"{node}, boot {epoch}"
        for (node, epoch), batches in found.batches.items()
        if any(b <= a for a, b in pairwise(batches))
    ]


def series_that_differ(stack: Stack, expected: Pass) -> list[str]:
    """Return in what series of the historian are other than the pass gave them."""
    differ = []
    for (equipment, series), points in expected.points.items():
        answer = stack.client.get(
            f"/v1/equipment/{equipment}/points",
            {"site": SITE, "series": series, "maxPoints": 10_000},
        )
        times = map(int, answer.get("timeMs", []))
        kept = dict(zip(times, answer.get("value", []), strict=True))
        if kept != pytest.approx(points):
            other = [t for t in kept.keys() & points if kept[t] != pytest.approx(points[t])]
            differ.append(
                f"{equipment} {series}: {len(points.keys() - kept)} of {len(points)} missing,"
                f" {len(kept.keys() - points)} too many, {len(other)} other"
                + "".join(f", {kept[t]} for {points[t]} at {t}" for t in sorted(other)[:1])
            )
    return differ


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("processors", "brokers", "kills"), [(1, 1, 200), (4, 3, 60)])
def test_rounds_of_kills_under_load(
    tmp_path: Path,
    full: bool,
    capsys: pytest.CaptureFixture[str],
    processors: int,
    brokers: int,
    kills: int,
) -> None:
    chance = random.Random(11)
    enough = tmp_path / "enough"
    with running(tmp_path, processors=processors, brokers=brokers) as stack:
        stack.supervisor.max_restarts = 1000
        tags = [f"C-{n:03}" for n in range(GATEWAYS * MACHINES)]
        fill(stack.client, SITE, [Machine(t, "chaos", "e/s/a/l/c", t) for t in tags])
        begin = time.time()
        agents = [start_agent(stack, tmp_path, n, begin, enough) for n in range(GATEWAYS)]
        wait(lambda: stack.counters().get("frames", 0) >= 500, stack, "first blocks")
        rounds = Rounds(stack)
        for turn in range(kills if full else len(KINDS)):
            time.sleep(chance.uniform(0.0, 1.0))
            rounds.kill(turn)
        for agent in agents:
            agent.may_end = True
        enough.touch()
        wait(lambda: all(a.returncode() == 0 for a in agents), stack, "agents drained")
        seconds = time.time() - begin
        # What is acknowledged has taken effect; only the historian reads on its own.
        expected = asyncio.run(undisturbed(stack))
        assert (expected.lost, out_of_order(expected)) == (0, [])
        wait_for_historian(stack, expected)
        counters = stack.counters()
        alarms = {
            a["name"]: (a["ticket"], "clearTime" in a)
            for a in stack.client.list("alarms", site=SITE)
        }
        tickets = [t["name"] for t in stack.client.list("tickets", site=SITE)]
        requisitions = len(list(stack.client.list("requisitions", site=SITE)))

    wanted = books_of(expected.advisories, tmp_path)
    of_alarms = {ticket for ticket, _ in wanted.values()}
    lines = [
        f"{brokers} brokers, {processors} processors",
        f"{'killed':<18}{'times':>6}{'median s':>10}{'longest s':>10}",
        *(
            f"{kind:<18}{len(took):>6}{median(took):>10.1f}{max(took):>10.1f}"
            for kind, took in rounds.seconds.items()
        ),
        f"{expected.frames} blocks in {seconds:.0f} s, {expected.frames / seconds:.0f} a second",
        f"lost {counters['lost']}, out of order {len(out_of_order(expected))},"
        f" received twice and dropped {counters['duplicated']}",
        f"alarms {len(alarms)} of {len(wanted)}, tickets {len(tickets)} of {len(of_alarms)},"
        f" duplicate tickets {len(tickets) - len(of_alarms)}, requisitions {requisitions}",
    ]
    with capsys.disabled():
        print("\n" + "\n".join(lines))  # noqa: T201
    assert counters["lost"] == 0
    assert counters["dead_letters"] == {}
    assert out_of_order(expected) == []
    assert counters["frames"] == expected.frames
    assert len(wanted) >= 5
    assert alarms == wanted
    assert sorted(tickets) == sorted(of_alarms)
