"""The fleet as an engineer sees it: a real server, gateways that report, a real browser."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from cloud_api.sign_in.accounts import Accounts
from cloud_api.sign_in.throttle import Throttle
from edge_agent.v1 import report_pb2
from erp_modules.kernel.authorisation import Role
from erp_modules.kernel.clock import SystemClock
from erp_modules.kernel.unit_of_work import Database
from headrace import release_signing

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("web"), pytest.mark.timeout(180)]

SITE = "bottling"
THIN = "\u202f"
GATEWAY = f"""
site = "{SITE}"
edge_node = "%s"
[[drivers]]
kind = "plugin"
factory = "firmware_sim.driver:create"
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, new_server: Any) -> Iterator[Any]:
    """A server with an update repository and nothing in its books."""
    running = new_server(tmp_path_factory.mktemp("fleet"))
    try:
        running.wait_until_ready()
        running.post("/v1/session", {"user": "admin", "password": running.password})
        yield running
    finally:
        running.stop()


@pytest.fixture
def page(browser: Browser, fleet: Any, visit: Any) -> Iterator[Page]:
    """A page of a person who is signed in there; it must leave nothing in the console."""
    with visit(browser, fleet) as opened:
        yield opened


def running(equipment_class: str, version: str, **more: Any) -> report_pb2.ModelReport:
    return report_pb2.ModelReport(
        **{
            "equipment_class": equipment_class,
            "name": equipment_class,
            "version": version,
            "state": report_pb2.INSTALLATION_STATE_RUNNING,
            **more,
        }
    )


def report(fleet: Any, edge_node: str, **said: Any) -> None:
    """Let a gateway report, as its agent does."""
    told = report_pb2.GatewayReport(
        **{
            "site": SITE,
            "edge_node": edge_node,
            "report_interval_s": 60.0,
            "agent_version": "0.1.0",
            "disk_free_bytes": 8 << 30,
            "disk_bytes": 16 << 30,
            "spool_max_bytes": 1 << 30,
            **said,
        }
    )
    told.report_time.FromDatetime(datetime.now(UTC))
    fleet.send([(f"headrace.report.{SITE}.{edge_node}", told.SerializeToString())])


def answer(fleet: Any, command: dict[str, Any], edge_node: str, **said: Any) -> None:
    """Let a gateway answer a command, as its agent does."""
    told = report_pb2.CommandOutcome(
        command_id=command["name"].removeprefix("commands/"),
        site=SITE,
        edge_node=edge_node,
        device=command.get("device", ""),
        metric=command["metric"],
        **said,
    )
    told.outcome_time.FromDatetime(datetime.now(UTC))
    fleet.send([(f"headrace.outcome.{SITE}.{edge_node}", told.SerializeToString())])


def until_known(fleet: Any, edge_node: str) -> None:
    """Wait until the server has heard of a gateway."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = fleet.get("/v1/gateways", search=edge_node).get("gateways", [])
        if any("lastSeenTime" in gateway for gateway in found):
            return
        time.sleep(0.05)
    pytest.fail(f"{edge_node} was never heard of")


def publish(fleet: Any, equipment_class: str, version: str) -> None:
    """Sign a model and publish it."""
    base = f"models/{equipment_class}/{version}"
    card = {"equipment_class": equipment_class, "version": version}
    files = {
        f"{base}/model.tflite": f"weights of {version}".encode(),
        f"{base}/model.json": json.dumps(card).encode(),
    }
    signed = release_signing.sign(fleet.keys, files)
    contents = [
        {"path": path, "content": base64.b64encode(content).decode()}
        for path, content in signed.files.items()
    ]
    targets = base64.b64encode(signed.targets).decode()
    fleet.post("/v1/releases:publish", {"targets": targets, "files": contents})
    release_signing.keep(fleet.keys, signed)


def row(page: Page, text: str) -> Any:
    return page.locator("tbody tr", has_text=text)


def confirm(page: Page, action: str, **fields: str) -> None:
    """Press an action of the page, fill in what it asks, and confirm it."""
    page.get_by_role("main").get_by_role("button", name=action, exact=True).click()
    dialog = page.get_by_role("dialog")
    for label, value in fields.items():
        dialog.get_by_label(label.replace("_", " ")).fill(value)
    dialog.get_by_role("button", name=action, exact=True).click()
    expect(dialog).to_have_count(0)


@pytest.mark.parametrize(
    ("view", "nothing"),
    [
        ("gateways", "No gateway has been heard of yet."),
        ("rollouts", "Nothing is rolled out."),
        ("releases", "Nothing is published yet."),
        ("commands", "Nothing was told yet."),
        ("limits", "Nothing may be written."),
        ("enrolment", "No token waits to be used."),
    ],
)
def test_an_empty_view_says_what_to_do_next(
    browser: Browser, plant: Any, visit: Any, view: str, nothing: str
) -> None:
    with visit(browser, plant) as page:
        page.goto(f"{plant.url}/fleet?view={view}")
        expect(page.get_by_text(nothing)).to_be_visible()
        expect(page.locator(".empty .quiet")).not_to_be_empty()


def test_a_gateway_is_enrolled_by_the_command_and_heard(
    page: Page, fleet: Any, tmp_path: Path
) -> None:
    page.goto(f"{fleet.url}/fleet")
    page.get_by_role("button", name="Enrol a gateway…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Site").fill(SITE)
    dialog.get_by_label("Edge node").fill("press-*")
    dialog.get_by_label("Good for").select_option(label="1 hour")
    dialog.get_by_role("button", name="Issue a token").click()
    expect(dialog.get_by_text("The token is shown this once.")).to_be_visible()
    command = dialog.get_by_label("Command").inner_text()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="I have it").click()
    expect(dialog).to_have_count(0)

    (tmp_path / "gateway.toml").write_text(GATEWAY % "press-1")
    program, *arguments = shlex.split(command)
    assert program == "headrace"
    done = subprocess.run(
        [sys.executable, "-m", "headrace.cli", *arguments],
        cwd=tmp_path,
        env={**os.environ, "HEADRACE_DATA_DIR": str(tmp_path / "data"), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[broker]\n")
    mine = row(page, "press-1")
    expect(mine).to_contain_text("Never heard")
    expect(mine.locator("td").last).to_contain_text("days")

    since = datetime.now(UTC) - timedelta(days=3)
    model = running("fan", "2.0.0")
    model.since_time.FromDatetime(since)
    report(
        fleet,
        "press-1",
        models=[model],
        clock_offset_ms=2500.0,
        temperature_deg_c=61.0,
        memory_bytes=52 << 20,
        spool_batches=7,
    )
    expect(mine).to_contain_text("Online", timeout=30_000)
    expect(mine).to_contain_text(f"fan 2.0.0, 3{THIN}days")
    expect(mine).to_contain_text(f"52.0{THIN}MiB")
    late = mine.locator("td", has_text=f"+2.50{THIN}s")
    expect(late.get_by_role("img", name="Medium")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Needs a look")).click()
    expect(page).to_have_url(re.compile("look=yes"))
    expect(mine).to_be_visible()

    mine.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="press-1", level=1)).to_be_visible()
    expect(page.get_by_text(f"Its clock is +2.50{THIN}s from the server's.")).to_be_visible()
    page.goto(f"{fleet.url}/fleet?view=enrolment&all=yes")
    expect(row(page, "press-*")).to_contain_text("Enrolled press-1")


def test_an_agent_is_restarted_and_its_gateway_revoked(page: Page, fleet: Any) -> None:
    report(fleet, "mixer-1", log_level="info")
    until_known(fleet, "mixer-1")
    page.goto(f"{fleet.url}/fleet/gateways/{SITE}~mixer-1")
    page.get_by_role("button", name="Restart").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("started again by its service")
    dialog.get_by_label("Reason").fill("after the power cut")
    dialog.get_by_role("button", name="Restart", exact=True).click()
    told = row(page, "after the power cut")
    expect(told).to_contain_text("Sent")
    (command,) = fleet.get("/v1/commands", gateway=f"gateways/{SITE}~mixer-1")["commands"]
    answer(fleet, command, "mixer-1", outcome=report_pb2.OUTCOME_DONE)
    expect(told).to_contain_text("Done")

    page.get_by_role("button", name="Revoke").click()
    dialog.get_by_role("button", name="Revoke", exact=True).click()
    expect(dialog.get_by_text("Reason is needed.")).to_be_visible()
    dialog.get_by_label("Reason").fill("stolen")
    dialog.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.locator(".page-head")).to_contain_text("Revoked")
    expect(page.get_by_role("button", name="Restart")).to_have_count(0)
    assert fleet.get(f"/v1/gateways/{SITE}~mixer-1")["revokeReason"] == "stolen"


def test_a_rollout_is_planned_started_paused_and_reverted(page: Page, fleet: Any) -> None:
    for version in ("1.0.0", "1.1.0"):
        publish(fleet, "conveyor", version)
    for number in range(1, 5):
        report(fleet, f"belt-{number}", group="belts", models=[running("conveyor", "1.0.0")])
    until_known(fleet, "belt-4")

    page.goto(f"{fleet.url}/fleet?view=releases")
    expect(row(page, "conveyor 1.0.0")).to_contain_text("4 gateways")
    row(page, "conveyor 1.1.0").get_by_role("button", name="Roll out…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Groups").fill("belts")
    expect(dialog.get_by_label("On a revert gateways go back to")).to_have_value("1.0.0")
    dialog.get_by_label("Stages in % of the gateways").fill("25, 20")
    dialog.get_by_role("button", name="Plan").click()
    expect(dialog.locator("#field-stages-error")).to_contain_text("growing")
    dialog.get_by_label("Stages in % of the gateways").fill("25, 50, 100")
    dialog.get_by_role("button", name="Plan").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("conveyor 1.1.0")
    head = page.locator(".page-head")
    expect(head).to_contain_text("Planned")
    expect(page.get_by_text("chosen at its start")).to_have_count(3)

    confirm(page, "Start")
    expect(head).to_contain_text("Rolling")
    first = page.locator(".stage-card").first
    expect(first).to_contain_text("under way")
    expect(first).to_contain_text("1 asked")
    (asked,) = [g for g in gateways_of(page, fleet) if g["state"] == "asked"]
    trial = running(
        "conveyor",
        "1.1.0",
        state=report_pb2.INSTALLATION_STATE_TRIAL,
        score_p50=0.2,
        latency_p99_us=150.0,
    )
    report(fleet, asked["edgeNode"], group="belts", models=[running("conveyor", "1.0.0"), trial])
    expect(first).to_contain_text("1 on trial", timeout=30_000)
    expect(row(page, asked["edgeNode"])).to_contain_text(f"150.0{THIN}µs")

    confirm(page, "Pause", Reason="the shift changes")
    expect(head).to_contain_text("Paused")
    expect(page.get_by_role("region", name="Why")).to_contain_text("the shift changes")
    expect(first).to_contain_text("stopped")
    assert rollout_of(page, fleet)["state"] == "ROLLOUT_STATE_PAUSED"
    page.goto(f"{fleet.url}/fleet?view=rollouts&state=paused")
    listed = row(page, "conveyor 1.1.0")
    expect(listed.get_by_role("img", name=re.compile("25 % stopped, 50 % to come"))).to_be_visible()
    listed.get_by_role("link").click()

    confirm(page, "Resume")
    expect(head).to_contain_text("Rolling")
    confirm(page, "Advance")
    expect(page.locator(".stage-card").nth(1)).to_contain_text("under way")
    confirm(page, "Revert", Reason="the belts stop too late")
    expect(head).to_contain_text("Reverted")
    expect(page.locator(".history li").last).to_contain_text("the belts stop too late")


def rollout_of(page: Page, fleet: Any) -> dict[str, Any]:
    return dict(fleet.get(f"/v1/rollouts/{page.url.rsplit('/', 1)[1]}"))


def gateways_of(page: Page, fleet: Any) -> list[dict[str, Any]]:
    return list(fleet.get(f"/v1/rollouts/{page.url.rsplit('/', 1)[1]}/gateways")["gateways"])


def test_a_write_is_proposed_within_limits_confirmed_and_answered(page: Page, fleet: Any) -> None:
    report(fleet, "filler-1")
    until_known(fleet, "filler-1")
    page.goto(f"{fleet.url}/fleet?view=limits")
    page.get_by_role("button", name="Allow a metric…").click()
    dialog = page.get_by_role("dialog")
    for label, value in {
        "Site": SITE,
        "Device": "B-301",
        "Metric": "Damper",
        "Least number": "0",
        "Greatest number": "100",
        "Unit": "%",
    }.items():
        dialog.get_by_label(label).fill(value)
    dialog.get_by_label("Who confirms").select_option(label="Anyone who may write")
    dialog.get_by_role("button", name="Allow", exact=True).click()
    limit = row(page, "B-301 Damper")
    expect(limit).to_contain_text(f"0 to 100{THIN}%")

    def propose(value: str, reason: str) -> None:
        page.goto(f"{fleet.url}/fleet?view=limits")
        limit.get_by_role("button", name="Write…").click()
        gateway = dialog.get_by_label("Through gateway")
        gateway.select_option(label="filler-1")
        dialog.get_by_label("New value in %").fill(value)
        dialog.get_by_label("Reason").fill(reason)
        dialog.get_by_role("button", name="Propose").click()

    propose("120", "too warm")
    expect(dialog.get_by_text("is not within")).to_be_visible()
    dialog.get_by_label("New value in %").fill("35")
    dialog.get_by_role("button", name="Propose").click()
    expect(page).to_have_url(re.compile("view=commands"))
    first = row(page, "too warm")
    expect(first).to_contain_text("Proposed")
    first.get_by_role("button", name="Confirm").click()
    expect(dialog).to_contain_text(f"B-301 Damper is set to 35{THIN}% on the real device")
    dialog.get_by_role("button", name="Confirm", exact=True).click()
    expect(first).to_contain_text("Sent")
    (command,) = fleet.get("/v1/commands", gateway=f"gateways/{SITE}~filler-1")["commands"]
    answer(fleet, command, "filler-1", outcome=report_pb2.OUTCOME_DONE, number=35.0)
    expect(first).to_contain_text("Done")
    expect(first).to_contain_text("confirmed by admin")

    propose("60", "warmer still")
    second = row(page, "warmer still")
    expect(second).to_contain_text(f"35{THIN}% before → 60{THIN}%")
    second.get_by_role("button", name="Withdraw").click()
    expect(second).to_contain_text("Cancelled")
    page.get_by_role("button", name="Done", exact=True).click()
    expect(second).to_have_count(0)


def test_who_may_only_read_is_told_why(browser: Browser, fleet: Any, visit: Any) -> None:
    report(fleet, "capper-1")
    until_known(fleet, "capper-1")
    database = Database(f"sqlite:///{fleet.data / 'headrace.db'}")
    accounts = Accounts(database, SystemClock(), Throttle(time.monotonic), "")
    accounts.add_user("olga", fleet.password, frozenset({Role.OPERATOR}), sites=frozenset({SITE}))
    database.close()
    mine = httpx.Client(base_url=fleet.url, headers={"Origin": fleet.url}, trust_env=False)
    with mine:
        answered = mine.post("/v1/session", json={"user": "olga", "password": fleet.password})
        assert answered.is_success, answered.text
        seen = type("Seen", (), {"http": mine, "url": fleet.url})
        with visit(browser, seen) as page:
            page.goto(f"{fleet.url}/fleet/gateways/{SITE}~capper-1")
            restart = page.get_by_role("button", name="Restart")
            expect(restart).to_be_disabled()
            expect(
                page.get_by_text("Your roles do not include fleet.gateway.write")
            ).to_be_visible()
            page.goto(f"{fleet.url}/fleet")
            expect(page.get_by_role("button", name="Enrol a gateway…")).to_be_disabled()


def test_the_palette_finds_a_gateway(page: Page, fleet: Any) -> None:
    report(fleet, "labeller-7")
    until_known(fleet, "labeller-7")
    page.goto(fleet.url)
    expect(page.get_by_role("heading", name="Plant")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name=re.compile("Search")).fill("labeller-7")
    expect(page.get_by_role("option").first).to_contain_text("Gateway")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/fleet/gateways/{SITE}~labeller-7"))


@pytest.mark.parametrize("size", [(390, 844), (1280, 800)], ids=["pocket", "desk"])
def test_what_is_full_fits_and_can_be_operated(
    page: Page, fleet: Any, size: tuple[int, int], check_operable: Any
) -> None:
    publish(fleet, "gearmotor", f"{size[0]}.0.0")
    report(fleet, "hall-1", group="halls", models=[running("gearmotor", "1.0.0")])
    until_known(fleet, "hall-1")
    planned = fleet.post(
        "/v1/rollouts",
        {
            "site": SITE,
            "kind": "RELEASE_KIND_MODEL",
            "subject": "gearmotor",
            "version": f"{size[0]}.0.0",
            "groups": ["halls"],
        },
    )
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for address in (
        "/fleet",
        "/fleet?view=rollouts",
        "/fleet?view=releases",
        f"/fleet/gateways/{SITE}~hall-1",
        f"/fleet/{planned['name']}",
    ):
        page.goto(fleet.url + address)
        check_operable(page)
