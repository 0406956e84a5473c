"""A real server behind a real browser: the pages are tested at their stable doors."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import nats
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from playwright.sync_api import Browser, Page, expect, sync_playwright

from cloud_api.updates import FOLDER as UPDATES
from headrace import release_signing
from headrace.broker import Broker, free_port
from stream_processor.v1.alert_pb2 import (
    ADVISORY_STATE_RAISED,
    Advisory,
    FailureMode,
    FeatureEvidence,
    Severity,
)
from stream_processor.v1.points_pb2 import Aggregate, Points, PointsBatch, Series, Waveform

SITE = "bottling"
PASSWORD = "a password for the tests"
RATE_HZ = 3200.0
SHAFT_HZ = 24.5
WEB = Path(__file__).parents[3] / "cloud_api" / "web"


@dataclass(frozen=True)
class Machine:
    tag: str
    equipment_class: str
    path: str
    # Slow channels: name → unit, level, swing.
    channels: dict[str, tuple[str, float, float]]


PUMP = Machine(
    "P-101",
    "centrifugal_pump",
    "brook/bottling/utilities/water/supply",
    {
        "Bearing Temperature": ("degC", 48.0, 1.2),
        "Discharge Pressure": ("bar", 4.2, 0.05),
        "Flow": ("m3/h", 63.0, 1.5),
        "Speed": ("1/min", SHAFT_HZ * 60.0, 3.0),
    },
)
FAN = Machine(
    "F-201",
    "fan",
    "brook/bottling/utilities/air/intake",
    {
        "Motor Temperature": ("degC", 55.0, 0.8),
        "Filter Differential Pressure": ("mbar", 2.4, 0.1),
        "Current": ("A", 11.5, 0.3),
    },
)
FILLER = Machine(
    "B-301",
    "filler_capper",
    "brook/bottling/packaging/line-1/filling",
    {
        "Capping Torque": ("N.m", 1.8, 0.02),
        "Product Temperature": ("degC", 6.5, 0.2),
        "Current": ("A", 7.2, 0.4),
    },
)
MACHINES = {m.tag: m for m in (PUMP, FAN, FILLER)}


def waveform() -> np.ndarray[Any, np.dtype[np.float32]]:
    """One second of a bearing whose outer race rings at 3.05 orders."""
    t = np.arange(3200) / RATE_HZ
    rng = np.random.default_rng(7)
    impacts = np.zeros_like(t)
    for start in np.arange(0.0, 1.0, 1.0 / (3.05 * SHAFT_HZ)):
        after = t - start
        impacts += np.where(after >= 0, np.exp(-after * 300) * np.sin(2e3 * np.pi * after), 0.0)
    shaft = 0.8 * np.sin(2 * np.pi * SHAFT_HZ * t)
    return (shaft + 6 * impacts + 0.2 * rng.standard_normal(t.size)).astype(np.float32)


def block(machine: Machine, end: float, seconds: int, health: float = 0.97) -> Points:
    """Return what the processor writes for `seconds` of a machine up to the time `end`."""
    times = np.arange(int(end) - seconds + 1, int(end) + 1, dtype=np.int64) * 1000
    phase = times / 1000.0
    points = Points(
        site=SITE,
        edge_node="gateway-1",
        equipment=machine.tag,
        equipment_class=machine.equipment_class,
        equipment_path=machine.path,
        sent_time_ms=int(end * 1000),
    )
    for place, (name, (unit, level, swing)) in enumerate(machine.channels.items()):
        mean = level + swing * np.sin(phase / (17 + 5 * place))
        points.aggregates.append(
            Aggregate(
                channel=name,
                unit=unit,
                time_ms=times,
                mean=mean,
                minimum=mean - swing / 4,
                maximum=mean + swing / 4,
                count=[1] * len(times),
            )
        )
    wear = np.clip((times - times[-1]) / 600_000 + 1, 0, 1) ** 3 * (1 - health)
    for name, unit, value in (
        ("health", "1", 1 - wear),
        ("Vibration Drive End/velocity_rms", "mm/s", 1.6 + 6 * wear + 0.05 * np.sin(phase)),
        ("Vibration Drive End/envelope_bpfo", "1", 1.0 + 9 * wear),
    ):
        points.series.append(Series(name=name, unit=unit, time_ms=times, value=value))
    return points


def finding(machine: Machine, at: float, mode: str, severity: str) -> Advisory:
    """Return a finding without measured evidence that the sample at `at` raised."""
    found = Advisory(
        advisory_id=f"{mode}-{machine.tag}-{int(at)}".lower(),
        revision=1,
        state=ADVISORY_STATE_RAISED,
        site=SITE,
        edge_node="gateway-1",
        equipment=machine.tag,
        equipment_class=machine.equipment_class,
        equipment_path=machine.path,
        severity=Severity.Value(severity),
        failure_mode=FailureMode.Value(mode),
        confidence=0.7,
        summary=f"{machine.tag} does not run as it did.",
        rule=mode.lower(),
        health=0.8,
    )
    for time_of in (found.window_start_time, found.window_end_time, found.sent_time):
        time_of.FromMilliseconds(int(at * 1000))
    return found


def worn_bearing(machine: Machine, at: float) -> Advisory:
    """Return the finding of a worn outer race that the sample at `at` raised."""
    found = finding(machine, at, "FAILURE_MODE_BEARING_OUTER_RACE", "SEVERITY_HIGH")
    found.confidence = 0.86
    found.summary = f"The outer race of the drive end bearing of {machine.tag} is worn."
    found.model_version = "half-space-trees 1"
    found.health = 0.62
    found.window_start_time.FromMilliseconds(int(at * 1000) - 30_000)
    found.evidence.channel = "Vibration Drive End"
    found.evidence.waveform_id = f"wave-{machine.tag}"
    found.evidence.features.extend(
        [
            FeatureEvidence(
                channel="Vibration Drive End",
                feature="envelope_bpfo",
                unit="1",
                value=4.4,
                baseline=1.0,
                limit=2.5,
                score=9.7,
            ),
            FeatureEvidence(
                channel="Vibration Drive End",
                feature="velocity_rms",
                unit="mm/s",
                value=3.8,
                baseline=1.6,
                limit=2.8,
                score=6.1,
            ),
        ]
    )
    found.remaining_life.median_hours = 96
    found.remaining_life.lower_hours = 51
    found.remaining_life.upper_hours = 170
    return found


class PlantServer:
    """`python -m cloud_api` with a broker of its own, and a person who is signed in over REST.

    Its update repository is that of the keys in the folder `keys`.
    """

    password = PASSWORD
    # The alarm and the ticket of the worn bearing of P-101.
    worn: dict[str, Any]

    def __init__(self, folder: Path) -> None:
        self.broker = Broker(folder / "broker")
        self.broker.start()
        self.data, self.keys = folder / "data", folder / "keys"
        release_signing.make_keys(self.keys)
        self.data.mkdir()
        release_signing.install(self.keys, self.data / UPDATES)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            **os.environ,
            **self.broker.environment,
            "HEADRACE_DATA_DIR": str(self.data),
            "HEADRACE_HTTP_PORT": str(self.port),
            "HEADRACE_GRPC_PORT": str(free_port()),
            "HEADRACE_ADMIN_PASSWORD": PASSWORD,
            "HEADRACE_LOG_FORMAT": "json",
        }
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cloud_api"], env=environment, stdout=log, stderr=log
            )
        self.http = httpx.Client(base_url=self.url, headers={"Origin": self.url}, trust_env=False)

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if self.http.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        pytest.fail(f"the server did not start:\n{self.log.read_text()[-4000:]}")

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post(path, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return dict(answer.json()) if answer.content else {}

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = self.http.get(path, params=params)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return dict(answer.json())

    def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Put messages (subject, payload) in the log and wait until they are kept."""

        async def publish() -> None:
            client = await nats.connect(
                self.broker.nats_url, user=self.broker.user, password=self.broker.password
            )
            for subject, payload in messages:
                await client.jetstream().publish(subject, payload)
            await client.close()

        # Playwright keeps a loop of its own in this thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, publish()).result()

    def publish(self, *points: Points) -> None:
        """Put points in the log, as the processor does."""
        batches = [(p.site, PointsBatch(points=[p])) for p in points]
        self.send([(f"points.{site}", batch.SerializeToString()) for site, batch in batches])

    def block(self, tag: str, seconds: int) -> Points:
        """Return what the processor writes for the last seconds of a machine."""
        return block(MACHINES[tag], time.time(), seconds)

    def finding(self, tag: str, mode: str, severity: str) -> Advisory:
        """Return a finding that a sample of this moment raised."""
        return finding(MACHINES[tag], time.time(), mode, severity)

    def report(self, finding: Advisory) -> dict[str, Any]:
        """Hand a finding in, as the processor does, and return its alarm and ticket."""
        return self.post("/v1/advisories:report", {"advisory": MessageToDict(finding)})

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.broker.stop()


def stock(server: PlantServer) -> None:
    """Put a bearing in the stores: enough for one ticket, after which it must be ordered."""
    where = server.post("/v1/bins", {"site": SITE, "code": "A-01", "displayName": "Bearings"})
    vendor = server.post(
        "/v1/vendors",
        {"site": SITE, "displayName": "Brook Bearings", "currencyCode": "EUR", "leadTimeDays": 5},
    )
    server.post(
        "/v1/parts",
        {
            "site": SITE,
            "partNumber": "BRG-6205",
            "displayName": "Deep groove ball bearing 6205",
            "unit": "each",
            "reorderPoint": "2",
            "reorderQuantity": "6",
            "unitPrice": {"currencyCode": "EUR", "amount": "11.80"},
            "leadTimeDays": 5,
            "preferredVendor": vendor["name"],
            "defaultBin": where["name"],
        },
    )
    server.post(
        "/v1/spares",
        {
            "site": SITE,
            "equipmentClass": "centrifugal_pump",
            "failureMode": "FAILURE_MODE_BEARING_OUTER_RACE",
            "part": "parts/BRG-6205",
            "quantity": "1",
        },
    )
    server.post(
        "/v1/stockMovements",
        {
            "site": SITE,
            "part": "parts/BRG-6205",
            "bin": where["name"],
            "type": "MOVEMENT_TYPE_RECEIPT",
            "quantity": "3",
        },
    )


def populate(server: PlantServer) -> dict[str, Any]:
    """Fill the books and the historian; return the alarm and ticket of the one worn bearing."""
    server.post("/v1/session", {"user": "admin", "password": PASSWORD})
    stock(server)
    for machine in MACHINES.values():
        server.post(
            "/v1/equipment",
            {
                "site": SITE,
                "tag": machine.tag,
                "displayName": machine.equipment_class.replace("_", " ").capitalize(),
                "equipmentClass": machine.equipment_class,
                "path": machine.path,
                "criticality": "CRITICALITY_HIGH",
            },
        )
    now = datetime.now(UTC).timestamp()
    past = [block(m, now, 1200, 0.62 if m is PUMP else 0.97) for m in MACHINES.values()]
    samples = waveform()
    past[0].waveforms.append(
        Waveform(
            waveform_id=f"wave-{PUMP.tag}",
            channel="Vibration Drive End",
            unit="m/s2",
            start_time_ms=int((now - 121) * 1000),
            sample_rate_hz=RATE_HZ,
            samples=samples.astype("<f4").tobytes(),
        )
    )
    server.publish(*past)
    return server.report(worn_bearing(PUMP, now - 120))


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantServer]:
    """A server with three machines, one of which has a worn bearing."""
    if not (WEB / "dist" / "index.html").exists():
        pytest.fail("the web application is not built: make ui")
    running = PlantServer(tmp_path_factory.mktemp("web"))
    try:
        running.wait_until_ready()
        running.worn = populate(running)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium of the machine.

    For a module at most: while Playwright runs, no other event loop can in this thread.
    """
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no Chromium on PATH: none of {', '.join(names)}")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@contextmanager
def signed_in(browser: Browser, server: PlantServer) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    token = next(c for c in server.http.cookies.jar)
    context.add_cookies([{"name": token.name, "value": token.value or "", "url": server.url}])
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    opened.on("pageerror", lambda e: said.append(str(e)))
    opened.set_default_timeout(15_000)
    yield opened
    context.close()
    # What the server refused is the page's to say; the browser says it of every 4xx.
    assert [line for line in said if "status of 4" not in line] == []


@pytest.fixture
def page(browser: Browser, plant: PlantServer) -> Iterator[Page]:
    """A page of a person who is signed in; it must leave nothing in the console."""
    with signed_in(browser, plant) as opened:
        yield opened


@pytest.fixture(scope="session")
def new_server() -> Callable[[Path], PlantServer]:
    """Starts a server with nothing in its books; who asks for it stops it."""
    return PlantServer


@pytest.fixture(scope="session")
def visit() -> Callable[[Browser, PlantServer], AbstractContextManager[Page]]:
    """Opens a page at a server, as `page` does."""
    return signed_in


@pytest.fixture(scope="session")
def check_operable() -> Callable[[Page], None]:
    """Checks that a page is there, fits its window, and that all of its controls have names."""

    def check(page: Page) -> None:
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        assert page.get_by_role("main").count() == 1
        size = page.viewport_size
        assert size is not None
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, a, input, select, textarea")]
                .filter((e) => e.checkVisibility())
                .filter((e) => !(e.textContent.trim() || e.ariaLabel || e.title || e.labels?.length
                                 || e.querySelector("img[alt]:not([alt=''])")))
                .map((e) => e.outerHTML)"""
        )
        assert nameless == []
        expect(page.get_by_role("navigation", name="Main")).to_have_count(1)

    return check
