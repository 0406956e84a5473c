"""What the flow set aside, listed."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import httpx
import nats

from erp_modules.kernel.authorisation import Role
from stream_processor.v1.dead_letter_pb2 import DEAD_LETTER_REASON_NO_BIRTH, DeadLetter


async def publish(server: Any, site: str, count: int) -> None:
    client = await nats.connect(
        server.broker.nats_url, user=server.broker.user, password=server.broker.password
    )
    for number in range(count):
        letter = DeadLetter(
            dead_letter_id=f"{site}-{number}",
            reason=DEAD_LETTER_REASON_NO_BIRTH,
            detail="no birth",
            topic=f"spBv1.0/{site}/DDATA/gw/P-101",
            payload=bytes([number]),
        )
        letter.receive_time.FromMilliseconds(1_767_225_600_000 + number)
        await client.jetstream().publish(
            f"deadletter.no_birth.{site.lower()}.gw", letter.SerializeToString()
        )
    await client.close()


def pages(client: httpx.Client, **arguments: Any) -> list[list[dict[str, Any]]]:
    found, token = [], ""
    while True:
        answer = client.get("/v1/deadLetters", params={**arguments, "pageToken": token})
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["deadLetters"])
        token = answer.json()["nextPageToken"]
        if not token:
            return found


def test_they_are_listed_newest_first_page_by_page(server: Any, browser: httpx.Client) -> None:
    site, other = (f"North-{secrets.token_hex(4)}" for _ in range(2))
    asyncio.run(publish(server, site, 70))
    asyncio.run(publish(server, other, 2))
    asyncio.run(publish(server, site, 5))
    found = pages(browser, site=site, pageSize=20)
    letters = [letter for page in found for letter in page]
    expected = [*range(4, -1, -1), *range(69, -1, -1)]
    assert [letter["name"] for letter in letters] == [f"deadLetters/{site}-{n}" for n in expected]
    assert max(map(len, found)) == 20
    assert letters[0] == {
        "name": f"deadLetters/{site}-4",
        "reason": "NO_BIRTH",
        "detail": "no birth",
        "topic": f"spBv1.0/{site}/DDATA/gw/P-101",
        "payload": "BA==",
        "receiveTime": "2026-01-01T00:00:00.004Z",
    }
    total = browser.get("/v1/deadLetters", params={"site": site}).json()["totalSize"]
    assert total == 75


def test_a_token_fits_its_own_list_only(server: Any, browser: httpx.Client) -> None:
    site = secrets.token_hex(4)
    asyncio.run(publish(server, site, 3))
    page = browser.get("/v1/deadLetters", params={"site": site, "pageSize": 1}).json()
    answer = browser.get(
        "/v1/deadLetters", params={"site": "another", "pageToken": page["nextPageToken"]}
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "pageToken"


def test_an_engineer_sees_those_of_their_site(server: Any) -> None:
    site, other = (f"{secrets.token_hex(4)}" for _ in range(2))
    asyncio.run(publish(server, site, 2))
    asyncio.run(publish(server, other, 2))
    user = f"eve-{secrets.token_hex(3)}"
    server.add_user(user, {Role.ENGINEER}, {site})
    with server.browser(user) as client:
        names = [letter["name"] for page in pages(client) for letter in page]
        assert names == [f"deadLetters/{site}-1", f"deadLetters/{site}-0"]
        assert client.get("/v1/deadLetters", params={"site": other}).status_code == 403
