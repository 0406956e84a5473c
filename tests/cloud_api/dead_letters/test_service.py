"""What the flow set aside: listed, inspected, fixed, replayed and discarded over the doors."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from edge_agent.v1.sparkplug_b_pb2 import Payload
from erp_modules.kernel.authorisation import Role
from erp_modules.kernel.models import AuditRecord
from erp_modules.kernel.scoping import Scope
from erp_modules.kernel.unit_of_work import Database
from stream_processor.v1 import dead_letter_pb2 as dl
from stream_processor.v1.alert_pb2 import (
    ADVISORY_STATE_RAISED,
    Advisory,
    FailureMode,
    Severity,
)

DAY_MS = 86_400_000
RECEIVED_MS = 1_767_225_600_000


def letter(
    site: str, number: int, reason: int = dl.DEAD_LETTER_REASON_NO_BIRTH, **more: Any
) -> Any:
    made = dl.DeadLetter(
        dead_letter_id=f"{site}-{number}",
        reason=reason,  # type: ignore[arg-type]
        detail=more.pop("detail", "no birth"),
        topic=more.pop("topic", f"spBv1.0/{site}/DDATA/gw/P-101"),
        payload=more.pop("payload", bytes([number])),
        **more,
    )
    made.receive_time.FromMilliseconds(RECEIVED_MS + number)
    return made


def a_site() -> str:
    return f"North-{secrets.token_hex(4)}"


def listed(client: httpx.Client, **filters: Any) -> list[str]:
    return [found["name"] for page in pages(client, **filters) for found in page]


def pages(client: httpx.Client, **arguments: Any) -> list[list[dict[str, Any]]]:
    found, token = [], ""
    while True:
        answer = client.get("/v1/deadLetters", params={**arguments, "pageToken": token})
        assert answer.status_code == 200, answer.text
        found.append(answer.json().get("deadLetters", []))
        token = answer.json().get("nextPageToken", "")
        if not token:
            return found


def get(client: httpx.Client, name: str) -> dict[str, Any]:
    answer = client.get(f"/v1/{name}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def post(client: httpx.Client, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    # A list waits for what was set aside a moment ago; what changes something does not.
    client.get("/v1/deadLetters:summarise")
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


# lists -------------------------------------------------------------------------------------------


def test_they_are_listed_newest_first_page_by_page(telemetry: Any, browser: httpx.Client) -> None:
    site, other = a_site(), a_site()
    telemetry.set_aside(*(letter(site, n) for n in range(70)))
    telemetry.set_aside(*(letter(other, n) for n in range(2)))
    telemetry.set_aside(*(letter(site, n) for n in range(70, 75)))
    found = pages(browser, site=site, pageSize=20)
    letters = [one for page in found for one in page]
    assert [one["name"] for one in letters] == [
        f"deadLetters/{site}-{n}" for n in range(74, -1, -1)
    ]
    assert max(map(len, found)) == 20
    first = letters[0]
    assert first.pop("etag")
    assert first == {
        "name": f"deadLetters/{site}-74",
        "reason": "NO_BIRTH",
        "detail": "no birth",
        "topic": f"spBv1.0/{site}/DDATA/gw/P-101",
        "receiveTime": "2026-01-01T00:00:00.074Z",
        "site": site,
        "edgeNode": "gw",
        "equipment": "P-101",
        "state": "DEAD_LETTER_STATE_OPEN",
        "sizeBytes": 1,
    } | {name: value for name, value in first.items() if value in ("", "0", [], 0)} | {
        "outcome": first.get("outcome", "REPLAY_OUTCOME_UNSPECIFIED")
    }
    total = browser.get("/v1/deadLetters", params={"site": site}).json()["totalSize"]
    assert total == 75


def test_a_token_fits_its_own_list_only(telemetry: Any, browser: httpx.Client) -> None:
    site = a_site()
    telemetry.set_aside(*(letter(site, n) for n in range(3)))
    page = browser.get("/v1/deadLetters", params={"site": site, "pageSize": 1}).json()
    answer = browser.get(
        "/v1/deadLetters", params={"site": "another", "pageToken": page["nextPageToken"]}
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "pageToken"


def test_filters_and_counts(telemetry: Any, browser: httpx.Client) -> None:
    site = a_site()
    telemetry.set_aside(
        *(letter(site, n) for n in range(3)),
        letter(site, 3, dl.DEAD_LETTER_REASON_UNDECODABLE),
        letter(site, 4, topic=f"spBv1.0/{site}/DDATA/other/F-201"),
    )
    post(browser, f"deadLetters/{site}-0:discard", reason="a test")
    assert listed(browser, site=site, reasons="UNDECODABLE") == [f"deadLetters/{site}-3"]
    assert listed(browser, site=site, edgeNode="other") == [f"deadLetters/{site}-4"]
    assert listed(browser, site=site, states="DEAD_LETTER_STATE_DISCARDED") == [
        f"deadLetters/{site}-0"
    ]
    after, before = "2026-01-01T00:00:00.001Z", "2026-01-01T00:00:00.003Z"
    assert listed(browser, site=site, startTime=after, endTime=before) == [
        f"deadLetters/{site}-2",
        f"deadLetters/{site}-1",
    ]
    counts = browser.get("/v1/deadLetters:summarise", params={"site": site}).json()["counts"]
    assert [(c["reason"], c["state"][18:], c["edgeNode"], c["count"]) for c in counts] == [
        ("NO_BIRTH", "DISCARDED", "gw", 1),
        ("NO_BIRTH", "OPEN", "gw", 2),
        ("NO_BIRTH", "OPEN", "other", 1),
        ("UNDECODABLE", "OPEN", "gw", 1),
    ]


def test_the_same_letter_told_again_is_one(telemetry: Any, browser: httpx.Client) -> None:
    site = a_site()
    telemetry.set_aside(letter(site, 1), letter(site, 2))
    post(browser, f"deadLetters/{site}-1:discard", reason="a test")
    telemetry.set_aside(letter(site, 1))
    states = {one["name"][-1]: one["state"][18:] for one in pages(browser, site=site)[0]}
    assert states == {"1": "DISCARDED", "2": "OPEN"}


def test_what_is_no_dead_letter_is_shown_as_it_is(
    server: Any, telemetry: Any, browser: Any
) -> None:
    site = secrets.token_hex(4)

    async def work(jetstream: Any) -> None:
        await jetstream.publish(f"deadletter.undecodable.{site}.gw", b"\xff\xff")

    telemetry._with(work)
    (name,) = listed(browser, site=site)
    found = get(browser, name)
    assert base64.b64decode(found["payload"]) == b"\xff\xff"
    assert found["replayRefusal"] == "only what the plant sent can be replayed"


# inspection --------------------------------------------------------------------------------------


def test_a_letter_is_decoded_by_the_last_birth(
    telemetry: Any, browser: httpx.Client, said: Any
) -> None:
    site = a_site()
    telemetry.publish(f"spBv1.0/{site}/DBIRTH/gw/P-101", said.device_birth())
    data = said.block(7, [20.5, 21.0], RECEIVED_MS)
    telemetry.set_aside(
        letter(site, 1, dl.DEAD_LETTER_REASON_UNDECODABLE, payload=data[:-5], trace_id="ab" * 16)
    )
    found = get(browser, f"deadLetters/{site}-1")
    assert base64.b64decode(found["payload"]) == data[:-5]
    assert found["traceId"] == "ab" * 16
    assert found["explanation"] == "Its bytes are no Sparkplug payload."
    assert "mend it" in found["advice"]
    decoded = found["decoded"]
    assert decoded["format"] == "sparkplug"
    temperature = decoded["metrics"][0]
    assert (temperature["name"], temperature["value"], temperature["count"]) == (
        "Temperature",
        "[20.5, 21.0]",
        2,
    )
    assert decoded["metrics"][-1]["problem"] == "ends too early"
    assert decoded["fault"]["offset"] <= len(data) - 5
    assert "are left" in decoded["fault"]["detail"] or "ends within" in decoded["fault"]["detail"]


# replay ------------------------------------------------------------------------------------------


def test_replaying_twice_is_replaying_once(
    telemetry: Any, browser: httpx.Client, until: Callable[..., Any]
) -> None:
    site = a_site()
    name = f"deadLetters/{site}-1"
    telemetry.set_aside(letter(site, 1, payload=b"as it came"))
    first = post(browser, f"{name}:replay", reason="the birth is there")
    second = post(browser, f"{name}:replay", reason="again")
    assert first["state"] == second["state"] == "DEAD_LETTER_STATE_REPLAYED"
    until(lambda: get(browser, name)["history"][0].get("logSequence"))
    (sent,) = telemetry.replayed(f"{site}-1")
    assert sent.data == b"as it came"
    assert sent.subject.endswith(f".{site}.DDATA.gw.P-101")
    (step,) = get(browser, name)["history"]
    assert step["principal"].endswith("admin")
    assert (step["reason"], step["action"]) == ("the birth is there", "REPLAYED")
    assert step["outcome"] == "REPLAY_OUTCOME_WAITING"
    assert int(step["logSequence"]) == sent.seq


def test_a_fix_is_shown_then_made_and_kept(
    server: Any, telemetry: Any, browser: httpx.Client, said: Any, until: Callable[..., Any]
) -> None:
    site = a_site()
    name = f"deadLetters/{site}-1"
    telemetry.publish(f"spBv1.0/{site}/DBIRTH/gw/P-101", said.device_birth())
    data = said.block(7, [20.5], RECEIVED_MS + DAY_MS)
    telemetry.set_aside(letter(site, 1, dl.DEAD_LETTER_REASON_TIME_IN_FUTURE, payload=data))
    fix = {"shiftTime": "-86400s", "edits": [{"metric": "Temperature", "value": "[19.5]"}]}
    shown = post(browser, f"{name}:previewFix", fix=fix)
    assert [change["what"] for change in shown["changes"]] == [
        "time of sending",
        "time of 1 metric",
        "Temperature: value",
    ]
    assert shown["decoded"]["metrics"][0]["value"] == "[19.5]"
    assert get(browser, name)["state"] == "DEAD_LETTER_STATE_OPEN"

    post(browser, f"{name}:replay", reason="the clock was a day ahead", fix=fix)
    until(lambda: get(browser, name)["history"][0].get("logSequence"))
    (sent,) = telemetry.replayed(f"{site}-1")
    assert sent.data == base64.b64decode(shown["payload"])
    assert Payload.FromString(sent.data).timestamp == RECEIVED_MS

    database = Database(server.database_url)
    records = database.run(
        Scope("default", None),
        lambda unit: (
            unit.session.query(AuditRecord)
            .filter_by(resource=name, action="dead_letter.replay")
            .all()
        ),
    )
    database.close()
    (record,) = records
    told = json.loads(record.detail)
    assert told["reason"] == "the clock was a day ahead"
    assert told["original"]["bytes"] == len(data)
    assert told["changes"][2]["after"] == "[19.5] (1 values) DoubleArray"


def test_what_cannot_be_fixed_is_said_at_its_field(telemetry: Any, browser: httpx.Client) -> None:
    site = a_site()
    telemetry.set_aside(letter(site, 1, payload=b"\x12\x7f"))
    answer = post(
        browser,
        f"deadLetters/{site}-1:previewFix",
        400,
        fix={"edits": [{"metric": "Temperature", "value": "1"}]},
    )
    assert answer["errors"][0]["field"] == "fix.keepDecoded"


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"topic": "spBv1.0/{site}/DDEATH/gw/P-101"}, "a message DDEATH was of its moment"),
        ({"topic": "points.x.P-1"}, "only what the plant sent"),
        ({"topic": "rules/fan", "reason": dl.DEAD_LETTER_REASON_INVALID_RULES}, "a mended rule"),
    ],
)
def test_not_everything_can_be_replayed(
    telemetry: Any, browser: httpx.Client, what: dict[str, Any], why: str
) -> None:
    site = a_site()
    what = {**what, "topic": what["topic"].format(site=site)}
    telemetry.set_aside(letter(site, 1, **what))
    answer = post(browser, f"deadLetters/{site}-1:replay", 400, reason="a test")
    assert why in answer["detail"]


def test_an_outcome_reaches_the_letter_it_is_of(
    telemetry: Any, browser: httpx.Client, until: Callable[..., Any]
) -> None:
    site = a_site()
    telemetry.set_aside(letter(site, 1), letter(site, 2))
    for number in (1, 2):
        post(browser, f"deadLetters/{site}-{number}:replay", reason="a test")
    steps = [
        until(lambda n=n: get(browser, f"deadLetters/{site}-{n}")["history"][0].get("logSequence"))
        for n in (1, 2)
    ]
    replay_id = telemetry.replayed(f"{site}-1")[0].headers["Nats-Msg-Id"]
    receipt = letter(site, 1, dl.DEAD_LETTER_REASON_REPLAYED, detail="taken", payload=b"")
    receipt.dead_letter_id, receipt.replay_of = replay_id, f"{site}-1"
    again = letter(site, 2, detail="still no birth", log_sequence=int(steps[1]))
    again.dead_letter_id = f"telemetry-{steps[1]}"
    telemetry.set_aside(receipt, again)
    assert get(browser, f"deadLetters/{site}-1")["outcome"] == "REPLAY_OUTCOME_TAKEN"
    second = get(browser, f"deadLetters/{site}-2")
    assert second["outcome"] == "REPLAY_OUTCOME_SET_ASIDE"
    assert second["history"][0]["next"] == f"deadLetters/telemetry-{steps[1]}"
    became = get(browser, f"deadLetters/telemetry-{steps[1]}")
    assert became["replayOf"] == f"deadLetters/{site}-2"
    assert became["state"] == "DEAD_LETTER_STATE_OPEN"
    refused = post(browser, f"deadLetters/{site}-1:discard", 400, reason="a test")
    assert "took effect" in refused["detail"]


def test_what_the_broker_refuses_is_open_again_and_holds_up_nobody(
    telemetry: Any, browser: httpx.Client, until: Callable[..., Any]
) -> None:
    site = a_site()
    telemetry.set_aside(letter(site, 1, topic=f"spBv1.0/{site}/DDATA/gw/P 101"), letter(site, 2))
    for number in (1, 2):
        post(browser, f"deadLetters/{site}-{number}:replay", reason="a test")
    until(lambda: telemetry.replayed(f"{site}-2"))
    refused = until(
        lambda: (
            (found := get(browser, f"deadLetters/{site}-1"))["outcome"] == "REPLAY_OUTCOME_REFUSED"
            and found
        )
    )
    assert refused["state"] == "DEAD_LETTER_STATE_OPEN"
    assert "the broker refused it" in refused["history"][0]["outcomeDetail"]
    post(browser, f"deadLetters/{site}-1:replay", reason="again")


def test_an_advisory_is_reported_again(
    telemetry: Any, browser: httpx.Client, until: Callable[..., Any]
) -> None:
    site = a_site()
    good = Advisory(
        advisory_id=f"worn-{site}",
        revision=1,
        state=ADVISORY_STATE_RAISED,
        site=site,
        edge_node="gw",
        equipment="P-101",
        equipment_class="centrifugal_pump",
        equipment_path="a/b/c",
        severity=Severity.SEVERITY_HIGH,
        failure_mode=FailureMode.FAILURE_MODE_BEARING_OUTER_RACE,
        confidence=0.7,
        summary="P-101 does not run as it did.",
        rule="worn",
        health=0.8,
    )
    for time_of in (good.window_start_time, good.window_end_time, good.sent_time):
        time_of.FromMilliseconds(RECEIVED_MS)
    rejected = dl.DEAD_LETTER_REASON_REJECTED
    telemetry.set_aside(
        letter(site, 1, rejected, topic="", payload=good.SerializeToString()),
        letter(site, 2, rejected, topic="", payload=Advisory(site=site).SerializeToString()),
    )
    assert listed(browser, site=site) == [f"deadLetters/{site}-2", f"deadLetters/{site}-1"]
    assert get(browser, f"deadLetters/{site}-1")["decoded"]["format"] == "advisory"
    for number in (1, 2):
        post(browser, f"deadLetters/{site}-{number}:replay", reason="the equipment is known now")
    until(
        lambda: (
            [get(browser, f"deadLetters/{site}-{n}")["outcome"] for n in (1, 2)]
            == ["REPLAY_OUTCOME_TAKEN", "REPLAY_OUTCOME_REFUSED"]
        )
    )
    (alarm,) = browser.get("/v1/alarms", params={"site": site}).json()["alarms"]
    assert alarm["equipment"] == "P-101"
    assert get(browser, f"deadLetters/{site}-2")["state"] == "DEAD_LETTER_STATE_OPEN"


def test_an_etag_of_before_is_refused(telemetry: Any, browser: httpx.Client) -> None:
    site = a_site()
    telemetry.set_aside(letter(site, 1))
    name = listed(browser, site=site)[0]
    etag = get(browser, name)["etag"]
    post(browser, f"{name}:discard", reason="not ours", etag=etag)
    post(browser, f"{name}:replay", 409, reason="ours after all", etag=etag)
    found = post(browser, f"{name}:replay", reason="ours after all")
    assert [step["action"] for step in found["history"]] == ["DISCARDED", "REPLAYED"]


# runs --------------------------------------------------------------------------------------------


def test_a_run_takes_what_its_filter_finds(
    telemetry: Any, browser: httpx.Client, said: Any, until: Callable[..., Any]
) -> None:
    site = a_site()
    reason = dl.DEAD_LETTER_REASON_TIME_IN_FUTURE
    ahead = [said.block(n, [1.0], RECEIVED_MS + DAY_MS + n) for n in range(6)]
    telemetry.set_aside(*(letter(site, n, reason, payload=data) for n, data in enumerate(ahead)))
    telemetry.set_aside(letter(site, 6, reason, payload=b"\x12\x7f"), letter(site, 7))
    post(browser, f"deadLetters/{site}-0:discard", reason="a test")
    body = {
        "filter": {"site": site, "reasons": ["TIME_IN_FUTURE"]},
        "fix": {"shiftTime": "-86400s"},
        "reason": "the clock was a day ahead",
        "rate": 200,
    }
    counted = post(browser, "replayRuns", **body, validateOnly=True)
    assert counted["total"] == 6
    assert not counted.get("name")
    started = post(browser, "replayRuns", **body)
    done = until(
        lambda: (run := get(browser, started["name"]))["state"] == "REPLAY_RUN_STATE_DONE" and run
    )
    assert (done["total"], done["done"], done["skipped"]) == (6, 5, 1)
    assert f"deadLetters/{site}-6" in done["skipDetail"]
    until(lambda: all(telemetry.replayed(f"{site}-{n}") for n in range(1, 6)))
    times = [
        Payload.FromString(telemetry.replayed(f"{site}-{n}")[0].data).timestamp for n in range(1, 6)
    ]
    assert times == [RECEIVED_MS + n for n in range(1, 6)]
    (step,) = get(browser, f"deadLetters/{site}-3")["history"]
    assert step["run"] == started["name"]
    assert listed(browser, site=site, states="DEAD_LETTER_STATE_OPEN") == [
        f"deadLetters/{site}-7",
        f"deadLetters/{site}-6",
    ]


def test_a_run_is_limited_and_can_be_ended(
    telemetry: Any, browser: httpx.Client, until: Callable[..., Any]
) -> None:
    site = a_site()
    telemetry.set_aside(*(letter(site, n) for n in range(200)))
    started = post(
        browser,
        "replayRuns",
        filter={"site": site},
        reason="not wanted",
        rate=1,
        discard=True,
    )
    until(lambda: get(browser, started["name"]).get("done"))
    ended = post(browser, f"{started['name']}:cancel")
    assert ended["state"] == "REPLAY_RUN_STATE_CANCELLED"
    assert 0 < ended["done"] < 200
    left = browser.get(
        "/v1/deadLetters", params={"site": site, "states": "DEAD_LETTER_STATE_OPEN"}
    ).json()["totalSize"]
    assert left == 200 - get(browser, started["name"])["done"]


# who may -----------------------------------------------------------------------------------------


def test_an_engineer_sees_and_treats_those_of_their_site(server: Any, telemetry: Any) -> None:
    site, other = a_site(), a_site()
    for one in (site, other):
        telemetry.set_aside(letter(one, 0), letter(one, 1))
    user = f"eve-{secrets.token_hex(3)}"
    server.add_user(user, {Role.ENGINEER}, {site})
    with server.browser() as admin:
        everywhere = post(admin, "replayRuns", filter={"site": other}, reason="x", discard=True)
    with server.browser(user) as client:
        assert listed(client) == [f"deadLetters/{site}-1", f"deadLetters/{site}-0"]
        assert client.get("/v1/deadLetters", params={"site": other}).status_code == 403
        assert client.get("/v1/deadLetters:summarise", params={"site": other}).status_code == 403
        assert client.get(f"/v1/deadLetters/{other}-0").status_code == 404
        assert client.get(f"/v1/{everywhere['name']}").status_code == 404
        for verb in ("replay", "discard", "previewFix"):
            body = {} if verb == "previewFix" else {"reason": "a test"}
            post(client, f"deadLetters/{other}-0:{verb}", 404, **body)
        post(client, "replayRuns", 403, filter={"site": other}, reason="a test")
        own = post(client, "replayRuns", filter={}, reason="a test", validateOnly=True)
        assert (own["site"], own["total"]) == (site, 2)


def test_who_may_not_replay_may_not(server: Any, telemetry: Any) -> None:
    site = a_site()
    telemetry.set_aside(letter(site, 1))
    user = f"tom-{secrets.token_hex(3)}"
    server.add_user(user, {Role.TECHNICIAN}, set())
    with server.browser(user) as client:
        assert client.get("/v1/deadLetters").status_code == 403
        post(client, f"deadLetters/{site}-1:replay", 403, reason="a test")
