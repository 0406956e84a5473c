"""The page of the running flow in a browser, before a real server."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import pytest
from playwright.sync_api import Browser, Page, expect

from stream_processor.v1 import status_pb2 as pb

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("web"), pytest.mark.timeout(300)]

STEPS: tuple[tuple[str, pb.FlowStepKind.ValueType, list[str]], ...] = (
    ("telemetry", pb.FLOW_STEP_KIND_SOURCE, ["acquisition", "to_dead_letters"]),
    (
        "acquisition",
        pb.FLOW_STEP_KIND_STAGE,
        ["late_correction", "state_detection", "to_dead_letters", "acknowledgements"],
    ),
    ("late_correction", pb.FLOW_STEP_KIND_STAGE, ["to_historian", "to_dead_letters"]),
    (
        "state_detection",
        pb.FLOW_STEP_KIND_STAGE,
        ["to_maintenance", "to_historian", "to_dead_letters"],
    ),
    ("to_maintenance", pb.FLOW_STEP_KIND_SINK, []),
    ("to_historian", pb.FLOW_STEP_KIND_SINK, []),
    ("to_dead_letters", pb.FLOW_STEP_KIND_SINK, []),
    ("acknowledgements", pb.FLOW_STEP_KIND_SINK, []),
)


class Process:
    """A processor that says what a test wants it to: rates, lag a second, share of its time."""

    def __init__(self, number: int, partitions: tuple[int, ...], processes: int = 2) -> None:
        self.number, self.partitions, self.processes = number, partitions, processes
        self.rate, self.busy, self.lag, self.lag_rate, self.letters = 40.0, 0.05, 0.0, 0.0, 0.0
        self.speaks = True
        self.began = time.monotonic() - 100.0
        self.start = datetime.now(UTC)

    def status(self, *, ending: bool = False) -> pb.ProcessorStatus:
        uptime = time.monotonic() - self.began
        said = pb.ProcessorStatus(
            id=f"line-{self.number}-1",
            host="line",
            process=self.number,
            processes=self.processes,
            partition_count=2,
            version="0.1.0",
            uptime_seconds=uptime,
            ending=ending,
            flow=[pb.FlowStep(name=n, kind=kind, feeds=feeds) for n, kind, feeds in STEPS],
        )
        said.start_time.FromDatetime(self.start)
        for partition in self.partitions:
            lag = self.lag + self.lag_rate * (uptime - 100.0)
            said.partitions.add(
                partition=partition,
                held=True,
                position=int(self.rate * uptime),
                lag_messages=int(lag),
                lag_seconds=lag / 100,
                watermark_delay_seconds=1.4,
                watermark_devices=3,
                last_device="north/P-101",
                state_bytes=4_400_000,
                steps=[
                    pb.StepStatus(
                        name=name,
                        items=int(self.rate * uptime),
                        seconds=self.busy * uptime,
                        dead_letters=int(self.letters) if name == "acquisition" else 0,
                    )
                    for name, _, _ in STEPS
                ],
            )
        return said


class Flow:
    """Processes that speak several times a second until they are ended."""

    def __init__(self, plant: Any) -> None:
        self.processes: list[Process] = []
        self._broker = plant.broker
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._speak()))
        self._thread.start()

    def add(self, *processes: Process) -> None:
        self.processes += processes

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)

    async def _speak(self) -> None:
        broker = self._broker
        client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
        while not self._ended.is_set():
            await self._say(client, [p for p in self.processes if p.speaks], ending=False)
            await asyncio.sleep(0.25)
        await self._say(client, self.processes, ending=True)
        await client.flush()
        await client.close()

    async def _say(self, client: Any, processes: list[Process], *, ending: bool) -> None:
        for process in processes:
            said = process.status(ending=ending)
            await client.publish(f"headrace.processor.{said.id}", said.SerializeToString())


@pytest.fixture
def flow(plant: Any) -> Iterator[Flow]:
    running = Flow(plant)
    yield running
    running.end()


def step(page: Page, name: str) -> Any:
    return page.get_by_role("link", name=re.compile(f"^{name}:"))


def total(page: Page, title: str) -> Any:
    return page.locator(".flow-total", has_text=title)


def test_the_flow_appears_with_its_steps_and_rates(
    page: Page, plant: Any, flow: Flow, check_operable: Any
) -> None:
    page.goto(f"{plant.url}/flow")
    expect(page.get_by_text("No processor is running.")).to_be_visible()
    flow.add(Process(0, (0,)), Process(1, (1,)))
    expect(total(page, "Processes")).to_contain_text("2 of 2")
    expect(total(page, "Messages from the log")).to_contain_text(re.compile(r"(79|80|81)\s*/s"))
    expect(page.get_by_text("Every partition of the log is taken")).to_be_visible()
    check_operable(page)
    names = page.locator(".flow-title").all_inner_texts()
    assert sorted(name.replace("\u00ad", "") for name in names) == sorted(
        [
            "Telemetry log",
            "Acquisition",
            "Late correction",
            "State detection",
            "Maintenance",
            "Historian",
            "Dead letters",
            "Acknowledgements",
        ]
    )
    boxes = [step(page, name).bounding_box() for name in ("Acquisition", "State detection")]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"], "from left to right"
    rows = page.get_by_role("region", name="Partitions of the log").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("1 on line")
    expect(rows.nth(1)).to_contain_text("north/P-101")
    expect(rows.nth(1)).to_contain_text("4.2")

    step(page, "Acquisition").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("step=acquisition"))
    detail = page.get_by_role("region", name="Acquisition")
    expect(detail.locator("tbody tr")).to_have_count(2)
    detail.get_by_role("link", name="Close").click()
    expect(detail).to_have_count(0)


def test_what_is_wrong_is_said_with_a_mark_and_words(page: Page, plant: Any, flow: Flow) -> None:
    slow, killed = Process(0, (0,)), Process(1, (1,))
    slow.busy, slow.lag, slow.lag_rate = 0.12, 900.0, 80.0
    flow.add(slow, killed)
    page.goto(f"{plant.url}/flow")
    wrong = page.get_by_role("list", name="What is wrong")
    expect(wrong).to_contain_text("Partition 0 falls behind")
    expect(wrong).to_contain_text("Partition 0 has no room for more")
    slow.letters = 3
    expect(wrong).to_contain_text("Acquisition set 3 messages aside", timeout=30_000)
    expect(step(page, "Acquisition")).to_have_accessible_name(re.compile("3 dead letters"))
    killed.speaks = False
    expect(wrong).to_contain_text("Process 1 on line has said nothing", timeout=30_000)
    expect(wrong).to_contain_text("Partition 1 is taken by nobody")
    expect(total(page, "Processes")).to_contain_text("1 of 2")
    expect(wrong.get_by_role("img", name="High").first).to_be_visible()
    wrong.get_by_role("link", name="Look at them").click()
    expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()
    page.go_back()
    slow.speaks = False
    expect(page.locator(".flow-stale")).to_be_visible(timeout=30_000)
    expect(wrong).to_contain_text("Process 0 on line has said nothing")


@pytest.mark.parametrize("size", [(390, 844), (1000, 800), (1250, 800), (1440, 900)])
def test_it_fits_its_window(
    page: Page, plant: Any, flow: Flow, check_operable: Any, size: tuple[int, int]
) -> None:
    flow.add(Process(0, (0,)), Process(1, (1,)))
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(f"{plant.url}/flow?step=state_detection")
    expect(page.get_by_role("region", name="State detection")).to_be_visible()
    expect(total(page, "Processes")).to_contain_text("2 of 2")
    check_operable(page)
    boxes = [step(page, name).bounding_box() for name in ("Acquisition", "State detection")]
    if size[0] < 1240:
        assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"], "from top down"
    for card in page.locator(".flow-card").all():
        assert card.evaluate("e => e.scrollWidth <= e.clientWidth"), card.inner_text()


def until_held(server: Any, log: Path) -> None:
    """Wait until a processor has every partition; the first on a machine compiles its kernels."""
    deadline = time.monotonic() + 240
    while server.get("/v1/flow")["heldPartitionCount"] != 2:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.mark.slow
def test_a_real_processor_is_shown_while_it_runs_and_after_it_was_killed(
    browser: Browser, tmp_path: Path, new_server: Any, visit: Any
) -> None:
    server = new_server(tmp_path)
    log = tmp_path / "processor.log"

    def start() -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            **server.broker.environment,
            "HEADRACE_DATA_DIR": str(tmp_path / "flow"),
            "HEADRACE_PARTITIONS": "2",
            "HEADRACE_LOG_FORMAT": "json",
        }
        command = [sys.executable, "-m", "stream_processor"]
        with log.open("ab") as output:
            return subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    processor = start()
    try:
        server.wait_until_ready()
        server.post("/v1/session", {"user": "admin", "password": server.password})
        until_held(server, log)
        with visit(browser, server) as page:
            page.goto(f"{server.url}/flow")
            expect(total(page, "Processes")).to_contain_text("1 of 1")
            for name in ("Telemetry log", "Acquisition", "Rule evaluation", "Historian"):
                expect(step(page, name)).to_have_accessible_name(re.compile(": 0 items a second"))
            rows = page.get_by_role("region", name="Processes").locator("tbody tr")
            expect(rows).to_contain_text("0, 1")
            processor.kill()
            processor.wait()
            expect(rows).to_contain_text("Silent for", timeout=30_000)
            processor = start()
            until_held(server, log)
            expect(rows).to_have_count(1, timeout=30_000)
            expect(rows).to_contain_text("Running")
            processor.send_signal(signal.SIGTERM)
            expect(page.get_by_text("No processor is running.")).to_be_visible(timeout=60_000)
            assert processor.wait(60) == 0
    finally:
        if processor.poll() is None:
            processor.kill()
            processor.wait()
        server.stop()
