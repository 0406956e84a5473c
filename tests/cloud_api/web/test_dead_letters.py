"""The page of dead letters in a browser, before a real server: looked at, fixed, replayed."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from edge_agent.v1.sparkplug_b_pb2 import DataType, Payload
from stream_processor.v1 import dead_letter_pb2 as dl

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("web"), pytest.mark.timeout(180)]

DAY_MS = 86_400_000
TOPIC = "spBv1.0/bottling/DDATA/gateway-1/P-101"


def block(shift_ms: int = 0) -> bytes:
    now = int(time.time() * 1000) + shift_ms
    payload = Payload(timestamp=now)
    payload.metrics.add(
        name="Bearing Temperature",
        timestamp=now,
        datatype=DataType.DATA_TYPE_DOUBLE,
        double_value=48.25,
    )
    payload.metrics.add(name="Headrace/Batch", datatype=8, long_value=7)
    return payload.SerializeToString()


def letter(name: str, reason: dl.DeadLetterReason.ValueType, detail: str, payload: bytes) -> Any:
    made = dl.DeadLetter(
        dead_letter_id=name, reason=reason, detail=detail, topic=TOPIC, payload=payload
    )
    made.receive_time.FromMilliseconds(int(time.time() * 1000))
    return made


def put(plant: Any, *letters: Any) -> None:
    plant.send([("deadletter.x.bottling.gateway-1", one.SerializeToString()) for one in letters])
    # A list waits for what was set aside a moment ago.
    plant.get("/v1/deadLetters")


def ahead(name: str) -> Any:
    return letter(
        name,
        dl.DEAD_LETTER_REASON_TIME_IN_FUTURE,
        f"sent {DAY_MS} ms after it was received",
        block(DAY_MS),
    )


def row(page: Page, text: str) -> Any:
    return page.locator("tbody tr", has_text=text)


def test_dead_letters_are_counted_opened_and_their_bytes_read(
    page: Page, plant: Any, check_operable: Any
) -> None:
    page.goto(f"{plant.url}/set-aside")
    expect(page.get_by_text("Every message could be used.")).to_be_visible()
    put(
        plant,
        letter("cut-1", dl.DEAD_LETTER_REASON_UNDECODABLE, "41 bytes are none", block()[:-10]),
        letter("unborn-1", dl.DEAD_LETTER_REASON_NO_BIRTH, "no birth of P-101 came", block()),
    )
    page.get_by_role("button", name="Read again").click()
    expect(row(page, "41 bytes are none")).to_contain_text("Undecodable")
    page.get_by_role("button", name=re.compile("No birth 1")).click()
    expect(page).to_have_url(re.compile("reason=NO_BIRTH"))
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Clear filters").click()

    row(page, "41 bytes are none").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/set-aside/cut-1"))
    expect(page.get_by_role("heading", name="Undecodable")).to_be_visible()
    check_operable(page)
    temperature = page.locator(".metrics tr", has_text="Bearing Temperature")
    expect(temperature).to_contain_text("48.25")
    expect(page.get_by_role("note")).to_contain_text("Reading ends at byte")
    temperature.focus()
    expect(page.locator(".hex .pointed").first).to_be_visible()
    expect(page.locator(".hex .faulty")).to_have_count(1)


def test_a_letter_is_fixed_with_the_difference_shown(page: Page, plant: Any) -> None:
    put(plant, ahead("ahead-1"))
    page.goto(f"{plant.url}/set-aside/ahead-1")
    page.get_by_role("button", name="Fix…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Move every time by")).to_have_value("-1d")
    expect(dialog.get_by_role("row", name=re.compile("time of sending"))).to_be_visible()
    dialog.get_by_label("Value of Bearing Temperature").fill('"hot"')
    expect(dialog.get_by_role("alert")).to_contain_text('"hot" is no Double')
    send = dialog.get_by_role("button", name="Replay with these changes")
    expect(send).to_be_disabled()
    dialog.get_by_label("Value of Bearing Temperature").fill("47.5")
    expect(dialog.get_by_label("Difference")).to_contain_text("47.5 Double")
    send.click()
    expect(dialog.get_by_role("alert")).to_contain_text("Why is needed.")
    dialog.get_by_label("Why").fill("the clock was a day ahead")
    send.click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".steps")).to_contain_text("the clock was a day ahead")
    expect(page.locator(".steps")).to_contain_text("47.5 Double")
    expect(page.get_by_role("button", name="Replay", exact=True)).to_have_count(0)


def test_many_are_dealt_with_at_once(page: Page, plant: Any) -> None:
    put(plant, *(ahead(f"many-{n}") for n in range(4)))
    page.goto(f"{plant.url}/set-aside?reason=TIME_IN_FUTURE")
    expect(page.locator("tbody tr")).to_have_count(4)
    first = page.locator("tbody tr").first
    first.focus()
    page.keyboard.press(" ")
    page.get_by_role("button", name="Discard 1…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("a test")
    dialog.get_by_role("button", name="Discard", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(3)

    page.get_by_role("button", name="Discard all 3…").click()
    expect(dialog).to_contain_text("3 open: Time in future.")
    dialog.get_by_label("Why").fill("a test as well")
    dialog.get_by_role("button", name="Discard 3").click()
    expect(dialog.get_by_role("status")).to_contain_text("3 of 3 done")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_text("None of these.")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Discarded")).click()
    expect(page.locator("tbody tr")).to_have_count(4)


@pytest.mark.parametrize("size", [(390, 844), (1440, 900)], ids=["pocket", "desk"])
@pytest.mark.parametrize("path", ["/set-aside", "/set-aside/sized-1", "/set-aside/no-such-letter"])
def test_it_fits_its_window_and_has_names(
    browser: Browser,
    plant: Any,
    visit: Any,
    check_operable: Any,
    path: str,
    size: tuple[int, int],
) -> None:
    put(plant, letter("sized-1", dl.DEAD_LETTER_REASON_UNDECODABLE, "cut", block()[:-10]))
    with visit(browser, plant) as page:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto(plant.url + path)
        expect(page.get_by_role("heading", level=1)).to_have_text(
            re.compile("Dead letter|Undecodable")
        )
        if path.endswith("sized-1"):
            expect(page.locator(".hex")).to_be_visible()
        check_operable(page)
