"""From the spool to the ticket, with a crash as a step: real parts against a model in memory.

The spool, acquisition, a guarded stage, the ledger of acknowledgements and the maintenance module's
books are the real ones; between them is a log in memory, and a broker that may lose what it
confirmed or store it twice. `HEADRACE_FAULTS=full` takes 500 runs of 50 steps.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.sparkplug import payloads
from edge_agent.store.spool import Batch, Spool
from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from edge_agent.v1.sparkplug_b_pb2 import Payload
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from erp_modules.maintenance.manifest import MANIFEST
from erp_modules.maintenance.v1 import maintenance_pb2 as pb
from stream_processor.acknowledgement import Ledger
from stream_processor.acquisition import Acquisition
from stream_processor.frames import Frame
from stream_processor.messages import Message, Rebirth, Resend, SetAside
from stream_processor.stage_step import GuardedStage
from stream_processor.v1 import alert_pb2

SITE, NODE = "riverside", "gw-1"
MACHINES = ("M-1", "M-2")
DAY_MS = 86_400_000
START_MS = 1_767_592_800_000
FULL = os.environ.get("HEADRACE_FAULTS") == "full"
EXAMPLES, STEPS = (500, 50) if FULL else (25, 40)
SOMEBODY = Principal("users/ada", roles=frozenset({Role.ADMIN}))


class Finding:
    """A stage that finds something in every block, and counts the blocks of its machine."""

    def __init__(self) -> None:
        self.blocks = 0

    def update(self, frame: Frame) -> tuple[int, int]:
        self.blocks += 1
        return self.blocks, int(frame.samples["Level"][0])

    def state(self) -> dict[str, Any]:
        return {"blocks": self.blocks}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        found = cls()
        found.blocks = state["blocks"]
        return found


class Books:
    """The maintenance module on a database; a report whose answer got lost is made again."""

    def __init__(self, application: Application) -> None:
        self._application = application
        # By machine: what was applied, in that order.
        self.applied: dict[str, list[int]] = defaultdict(list)

    def _call(self, method: str, request: Any) -> Any:
        return self._application.call(f"erp_modules.maintenance.v1.{method}", request, SOMEBODY)

    def report(self, advisory: alert_pb2.Advisory, number: int) -> None:
        request = pb.ReportAdvisoryRequest(advisory=advisory)
        if self._call("AlarmService.ReportAdvisory", request).applied:
            self.applied[advisory.equipment].append(number)

    def findings(self, site: str) -> list[str]:
        """Return the ids of the findings of all alarms of a site."""
        request, found = pb.ListAlarmsRequest(site=site, page_size=200), []
        while True:
            page = self._call("AlarmService.ListAlarms", request)
            found += [alarm.advisory.advisory_id for alarm in page.alarms]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def tickets(self, site: str) -> dict[str, list[int]]:
        """Return by machine how many statements each of its tickets holds."""
        found: dict[str, list[int]] = defaultdict(list)
        request = pb.ListTicketsRequest(site=site, page_size=200)
        for ticket in self._call("TicketService.ListTickets", request).tickets:
            found[ticket.equipment].append(ticket.advisory_count)
        return found


class SpoolToTicket(RuleBasedStateMachine):
    """Blocks go from an agent's disk to tickets; anything may stop in between."""

    application: ClassVar[Application]
    runs: ClassVar[Iterator[int]] = count()

    def __init__(self) -> None:
        super().__init__()
        self.site = f"{SITE}-{next(self.runs)}"
        self.folder = Path(tempfile.mkdtemp())
        self.books = Books(self.application)
        self.now = 1_790_000_000.0
        self.log: list[Message] = []
        # Retained by the broker, and on the way to the agent.
        self.retained = b""
        self.acknowledgements: list[bytes] = []
        # What the disk of the agent has taken: number of the block, its machine.
        self.taken: dict[int, str] = {}
        self.numbers = count(1)
        channel = Channel("Level", "1", 1.0, "level")
        self.codecs = {
            tag: payloads.DeviceCodec(Device(tag, "model", "a/b", (channel,), clock="simulated"), n)
            for n, tag in enumerate(MACHINES)
        }
        self.durable: bytes | None = None
        self._agent_starts()
        self._processor_starts()

    # The agent

    def _agent_starts(self) -> None:
        self.spool = Spool(self.folder / "spool", now=self.now)
        self.cursor = self.published = (0, 0)
        self.batch = 0
        self.acknowledgements = [self.retained] if self.retained else []
        self._births()

    def _births(self) -> None:
        birth = payloads.node_birth(
            self._now_ms, 1, self.spool.boot_epoch, self.spool.first_batch, {}, {},
            self.spool.earlier,
        )  # fmt: skip
        self._store("NBIRTH", birth.SerializeToString())
        for tag, codec in self.codecs.items():
            self._store("DBIRTH", codec.birth(self._now_ms).SerializeToString(), tag)

    @rule(machine=st.sampled_from(MACHINES), blocks=st.integers(1, 3))
    def measure(self, machine: str, blocks: int) -> None:
        """A machine says something and it is on the disk."""
        batches = []
        for _ in range(blocks):
            number = next(self.numbers)
            self.batch += 1
            block = Block(
                machine, START_MS + number * DAY_MS, {"Level": np.array([number], np.float32)}
            )
            data = self.codecs[machine].data(
                block, self._now_ms, self.spool.boot_epoch, self.batch, None
            )
            batches.append(
                Batch(self.spool.boot_epoch, self.batch, machine, data.SerializeToString())
            )
            self.taken[number] = machine
        self.spool.append(batches)

    @rule(
        fates=st.lists(
            st.sampled_from(("kept", "kept", "kept", "lost", "twice")), min_size=1, max_size=6
        )
    )
    def publish(self, fates: list[str]) -> None:
        """The agent publishes what comes next; the broker confirms it, whatever becomes of it."""
        for fate, entry in zip(fates, self.spool.after(self.cursor, len(fates)), strict=False):
            assert isinstance(entry, Batch)
            for _ in range({"kept": 1, "lost": 0, "twice": 2}[fate]):
                self._publish(entry)
            self.cursor = entry.key
            self.published = max(self.published, entry.key)

    def _publish(self, batch: Batch) -> None:
        late = batch.key <= self.published
        payload = payloads.historical(batch.payload) if late else batch.payload
        self._store("DDATA", payload, batch.topic)

    @rule()
    def the_agent_is_killed(self) -> None:
        self.spool.close()
        self.now += 1.0
        self._agent_starts()

    @rule()
    def the_agent_hears_acknowledgements(self) -> None:
        while self.acknowledgements:
            said = Acknowledgement.FromString(self.acknowledgements.pop(0))
            if (said.boot_epoch, said.sequence) <= self.published:
                self.spool.acknowledge(said.boot_epoch, said.sequence)

    # The log

    @property
    def _now_ms(self) -> int:
        return int(self.now * 1000)

    def _store(self, kind: str, payload: bytes, machine: str = "") -> None:
        self.now += 0.01
        levels = [self.site, kind, NODE, *([machine] if machine else [])]
        subject = ".".join(["tele", "0", *levels] if machine else ["spBv1//0", *levels])
        self.log.append(Message(subject, payload, len(self.log) + 1, self._now_ms))

    # The processor

    def _processor_starts(self) -> None:
        self.ledger = Ledger(self._retain)
        if self.durable is None:
            self.position, self.acquisition = 0, Acquisition()
            self.stages = {tag: GuardedStage(Finding, "finding", None) for tag in MACHINES}
        else:
            self.position, acquisition, stages = pickle.loads(self.durable)
            self.acquisition = Acquisition.restore(acquisition, self.now)
            self.stages = {t: GuardedStage(Finding, "finding", s) for t, s in stages.items()}
            self.ledger.recovered(self.acquisition.marks())

    def _retain(self, topic: str, payload: bytes) -> None:
        assert topic == f"headrace/ack/{self.site}/{NODE}"
        self.retained = payload
        self.acknowledgements.append(payload)

    @rule(messages=st.integers(1, 8), twice=st.booleans())
    def process(self, messages: int, twice: bool) -> None:
        """The flow takes messages; the books may hear of each twice, when their answer got lost."""
        for message in self.log[self.position : self.position + messages]:
            self._handle(self.acquisition.update(message, self.now), twice)
            self.position += 1
        self.ledger.collect(self.acquisition.marks())

    def _handle(self, items: list[Any], twice: bool = False) -> None:
        for item in items:
            assert not isinstance(item, SetAside), item.letter
            if isinstance(item, Frame):
                self._effect(item, twice)
            elif isinstance(item, Rebirth):
                self._births()
            elif isinstance(item, Resend):
                for batch in self.spool.range(item.boot_epoch, item.first, item.last, 1000):
                    if batch.key <= self.published:
                        self._publish(batch)

    def _effect(self, frame: Frame, twice: bool) -> None:
        machine = frame.info.equipment
        seen, number = self.stages[machine].update(frame)
        advisory = alert_pb2.Advisory(
            advisory_id=f"{self.site}-{frame.boot_epoch}-{frame.batch}",
            revision=1,
            state=alert_pb2.ADVISORY_STATE_RAISED,
            severity=alert_pb2.SEVERITY_HIGH,
            failure_mode=alert_pb2.FAILURE_MODE_UNBALANCE,
            site=self.site,
            equipment=machine,
            summary=f"block {seen}",
        )
        advisory.window_end_time.FromMilliseconds(frame.start_time_ms)
        for _ in range(1 + twice):
            self.books.report(advisory, number)

    @rule(seconds=st.sampled_from((0.1, 1.0, 2.5)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self._handle(self.acquisition.tick(self.now))
        self.ledger.collect(self.acquisition.marks())

    @rule(crash=st.sampled_from(("no", "no", "before it is stored", "after it is stored")))
    def an_epoch_ends(self, crash: str) -> None:
        """The engine takes a snapshot and stores it; then acknowledgements go out."""
        snapshot = pickle.dumps(
            (
                self.position,
                self.acquisition.state(),
                {tag: stage.checkpoint() for tag, stage in self.stages.items()},
            )
        )
        self.ledger.close()
        if crash != "before it is stored":
            self.durable = snapshot
        if crash == "no":
            self.ledger.durable()
        else:
            self._processor_starts()

    @rule()
    def the_processor_is_killed(self) -> None:
        self._processor_starts()

    # What holds

    def _in_the_spool(self) -> set[int]:
        entries = self.spool.after((0, 0), 10_000)
        return {int(_level(entry.payload)) for entry in entries if isinstance(entry, Batch)}

    @invariant()
    def what_left_the_disk_has_had_its_effect(self) -> None:
        applied = {number for numbers in self.books.applied.values() for number in numbers}
        assert self.taken.keys() - self._in_the_spool() <= applied

    @invariant()
    def every_effect_is_there_once_and_in_order(self) -> None:
        for machine, numbers in self.books.applied.items():
            assert all(b > a for a, b in pairwise(numbers)), (machine, numbers)

    def teardown(self) -> None:
        """When nothing is killed any more, everything that the disk took becomes effect, once."""
        try:
            # As agents do: what is said later shows that something before it was lost.
            self.measure(MACHINES[0], 1)
            for _ in range(60):
                if not self.spool.depth:
                    break
                self.publish(["kept"] * 1000)
                self.process(len(self.log), False)
                self.time_passes(2.5)
                self.an_epoch_ends("no")
                self.the_agent_hears_acknowledgements()
            assert self.spool.depth == 0, self.acquisition.counts
            assert self.acquisition.counts["lost"] == 0
            by_machine: dict[str, list[int]] = defaultdict(list)
            for number, machine in self.taken.items():
                by_machine[machine].append(number)
            assert self.books.applied == by_machine
            assert len(self.books.findings(self.site)) == len(self.taken)
            # One ticket a machine, since its findings last; each statement is in it once.
            assert self.books.tickets(self.site) == {
                machine: [len(numbers)] for machine, numbers in by_machine.items()
            }
        finally:
            self.spool.close()
            shutil.rmtree(self.folder)


def _level(payload: bytes) -> float:
    message = Payload.FromString(payload)
    return float(np.frombuffer(message.metrics[-1].bytes_value, "<f4")[0])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whatever_crashes_each_block_becomes_its_effect_once(tmp_path: Path) -> None:
    application = bootstrap(f"sqlite:///{tmp_path / 'books.db'}", manifests=[MANIFEST])
    try:
        SpoolToTicket.application = application
        run_state_machine_as_test(
            SpoolToTicket,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                phases=(Phase.generate,),
                derandomize=not FULL,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        application.close()
