"""What a person sees and does: each page against a real server."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("web"), pytest.mark.timeout(180)]

ADDRESSES = (
    "/",
    "/equipment/P-101",
    "/signals?of=P-101&s=P-101~Flow",
    "/alarms",
    "/work",
    "/stores",
    "/stores?view=requisitions",
    "/stores?view=reservations",
    "/fleet",
    "/fleet?view=rollouts",
    "/fleet?view=releases",
    "/fleet?view=commands",
    "/fleet?view=limits",
    "/fleet?view=enrolment",
    "/flow",
    "/set-aside",
    "/me",
)


def test_a_stranger_sees_the_sign_in_page_and_then_what_they_asked_for(
    browser: Browser, plant: Any
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{plant.url}/stores?view=requisitions")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_role("navigation")).to_have_count(0)
    page.get_by_label("User").fill("admin")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("A password is needed.")).to_be_visible()
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    page.get_by_label("Password").fill(plant.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Stores")).to_be_visible()
    expect(page).to_have_url(re.compile(r"view=requisitions"))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    context.close()


def test_the_plant_stands_by_its_hierarchy_with_what_is_abnormal(page: Page, plant: Any) -> None:
    page.goto(plant.url)
    utilities = page.get_by_role("region", name="utilities", exact=True)
    expect(utilities.get_by_role("link", name=re.compile("P-101"))).to_be_visible()
    expect(utilities.get_by_role("link", name=re.compile("F-201"))).to_be_visible()
    worn = page.locator("a.tile", has_text="P-101")
    expect(worn.get_by_role("img", name="High")).to_be_visible()
    expect(worn).to_contain_text("bearing outer race")
    expect(worn.get_by_role("meter", name="Health")).to_have_attribute(
        "aria-valuetext", "62\u202f%"
    )
    page.get_by_role("button", name="Abnormal only").click()
    expect(page.locator("a.tile", has_text="B-301")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"show=abnormal"))


def test_values_come_live(page: Page, plant: Any) -> None:
    page.goto(plant.url)
    tile = page.locator("a.tile", has_text="B-301")
    expect(tile).to_contain_text("Current")
    for _ in range(50):
        # The server sends to those who have subscribed; when this page has, nobody says.
        points = plant.block("B-301", seconds=1)
        points.aggregates[2].mean[:] = [123.4]
        plant.publish(points)
        if "123.4" in tile.inner_text():
            break
        page.wait_for_timeout(200)
    expect(tile).to_contain_text("123.4")
    expect(tile).to_contain_text("Live")


def test_a_machine_shows_its_trends_alarms_work_and_spares(page: Page, plant: Any) -> None:
    page.goto(f"{plant.url}/equipment/P-101")
    expect(page.get_by_role("heading", name="P-101")).to_be_visible()
    flow = page.get_by_role("img", name=re.compile(r"^Flow: now \d"))
    expect(flow).to_be_visible()
    expect(flow.locator("canvas")).to_have_count(1)
    expect(page.get_by_role("link", name=re.compile("WO-"))).to_be_visible()
    expect(page.get_by_role("link", name="BRG-6205")).to_be_visible()
    page.get_by_label("How far back").select_option(label="Last 1 h")
    expect(page).to_have_url(re.compile("span=1h"))
    box = flow.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 40, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("from=.*to="))
    flow.locator(".u-over").dblclick()
    expect(page).not_to_have_url(re.compile("from="))


def test_one_key_acknowledges_the_highest_alarm(page: Page, plant: Any) -> None:
    finding = plant.finding("F-201", "FAILURE_MODE_UNBALANCE", "SEVERITY_CRITICAL")
    alarm = plant.report(finding)["alarm"]["name"]
    page.goto(f"{plant.url}/work")
    band = page.get_by_role("region", name="Highest unacknowledged alarm")
    expect(band).to_contain_text("Critical")
    expect(band).to_contain_text("F-201")
    page.get_by_role("heading", name="Work").click()
    with page.expect_response(re.compile(":acknowledge$")) as answer:
        page.keyboard.press("a")
    assert answer.value.ok
    expect(band).not_to_contain_text("F-201")
    assert plant.get(f"/v1/{alarm}")["state"] == "ALARM_STATE_ACKNOWLEDGED"


def test_an_alarm_is_shelved_with_a_reason_by_keyboard(page: Page, plant: Any) -> None:
    alarm = plant.report(plant.finding("B-301", "FAILURE_MODE_LOOSENESS", "SEVERITY_LOW"))["alarm"]
    page.goto(f"{plant.url}/alarms?equipment=B-301")
    row = page.locator("tbody tr", has_text="B-301")
    expect(row).to_be_visible()
    expect(row.get_by_role("img", name="Low")).to_be_visible()
    row.focus()
    page.keyboard.press("s")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Shelve", exact=True).click()
    expect(dialog.get_by_text("Reason is needed.")).to_be_visible()
    dialog.get_by_label("Reason").fill("the fitter is on the way")
    dialog.get_by_label("Until").fill("2001-01-01T00:00")
    dialog.get_by_role("button", name="Shelve", exact=True).click()
    until = dialog.locator("#field-expireTime-error")
    expect(until).not_to_be_empty()
    dialog.get_by_label("Until").fill("2099-01-01T00:00")
    dialog.get_by_role("button", name="Shelve", exact=True).click()
    expect(dialog).to_have_count(0)
    expect(row).to_contain_text("the fitter is on the way")
    assert plant.get(f"/v1/{alarm['name']}")["state"] == "ALARM_STATE_SHELVED"
    page.get_by_role("button", name="Acknowledged", exact=True).click()
    expect(page).to_have_url(re.compile("state=acknowledged"))
    expect(page.get_by_text("No alarm is like that.")).to_be_visible()


def test_a_ticket_answers_in_order_and_lives_to_its_end(page: Page, plant: Any) -> None:
    ticket = plant.worn["ticket"]["name"]
    page.goto(f"{plant.url}/work")
    page.locator("tbody tr", has_text="P-101").click()
    expect(page).to_have_url(f"{plant.url}/work/{ticket.removeprefix('tickets/')}")
    main = page.get_by_role("main")
    expect(main.get_by_text("is worn.").first).to_be_visible()
    expect(main.get_by_role("heading", level=2)).to_have_text(
        [
            "Evidence",
            "Risk and time left",
            "What to do",
            "Parts and people",
            "Conversation",
            "History",
        ]
    )
    expect(
        main.get_by_role("img", name=re.compile(r"envelope of .* highest at 7[45]\.")).first
    ).to_be_visible()
    expect(main).to_contain_text("2 to 7\u202fdays")
    expect(main.get_by_text("1 of 1")).to_be_visible()
    expect(main.get_by_role("link", name=re.compile("PR-"))).to_be_visible()

    main.get_by_label("Comment").fill("Heard it too.")
    main.get_by_role("button", name="Send").click()
    expect(main.locator(".comments li:not(.pending)")).to_contain_text("Heard it too.")

    def step(name: str, state: str, **fields: str) -> None:
        main.get_by_role("button", name=name, exact=True).click()
        if fields or name == "Close":
            dialog = page.get_by_role("dialog")
            for label, value in fields.items():
                dialog.get_by_label(label.replace("_", " ")).fill(value)
            dialog.get_by_role("button", name=name, exact=True).click()
        expect(main.locator(".page-head .pill")).to_have_text(state)

    step("Approve", "Approved")
    step("Plan", "Planned")
    step("Schedule", "Scheduled", Start="2030-05-01T08:00", Who_does_it="jo")
    step("Start", "In progress")
    step("Hold", "On hold", Reason="waiting for the crane")
    expect(main.get_by_text("waiting for the crane").first).to_be_visible()
    step("Resume", "In progress")
    step("Complete", "Completed", What_was_done="Bearing replaced.")
    step("Verify", "Verified")
    step("Close", "Closed")
    expect(main.get_by_text("Consumed")).to_be_visible()
    expect(main.get_by_text("Bearing replaced.").first).to_be_visible()
    expect(main.locator(".history li").last).to_contain_text("closed")


def test_a_requisition_is_approved_ordered_and_received(page: Page, plant: Any) -> None:
    page.goto(f"{plant.url}/stores?view=requisitions")
    row = page.locator("tbody tr", has_text="BRG-6205")
    row.get_by_role("button", name="Approve").click()
    row.get_by_role("button", name="Order").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Order number").fill("4500012345")
    dialog.get_by_role("button", name="Order", exact=True).click()
    expect(row).to_contain_text("Ordered")
    row.get_by_role("button", name="Receive").click()
    dialog.get_by_role("button", name="Receive", exact=True).click()
    expect(row).to_contain_text("Received")
    page.get_by_role("link", name="Parts").click()
    part = page.locator("tbody tr", has_text="BRG-6205")
    expect(part).to_contain_text("Enough")


def test_the_palette_finds_a_machine(page: Page, plant: Any) -> None:
    page.goto(plant.url)
    expect(page.get_by_role("heading", name="Plant")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name=re.compile("Search")).fill("f-201")
    expect(page.get_by_role("option").first).to_contain_text("F-201")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/equipment/F-201"))
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_theme_that_was_chosen_stays(page: Page, plant: Any) -> None:
    page.goto(plant.url)
    page.get_by_role("button", name="Dark theme").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Light theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_a_lost_connection_is_said_and_mended(page: Page, plant: Any) -> None:
    refuse = True

    def door(socket: Any) -> None:
        if refuse:
            socket.close()
        else:
            socket.connect_to_server()

    page.route_web_socket(re.compile("/v1/live"), door)
    page.goto(plant.url)
    banner = page.get_by_text(re.compile("^Connection lost at"))
    expect(banner).to_be_visible()
    # While the door is shut: else it may be mended before the button is reached.
    page.get_by_role("button", name="Try now").click()
    refuse = False
    expect(banner).to_have_count(0, timeout=60_000)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("size", [(390, 844), (1440, 900)], ids=["pocket", "desk"])
def test_every_page_fits_and_can_be_operated(
    page: Page, plant: Any, address: str, size: tuple[int, int], check_operable: Any
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(plant.url + address)
    check_operable(page)
