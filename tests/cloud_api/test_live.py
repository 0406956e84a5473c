"""The live view, over WebSocket."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import httpx
import nats
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from cloud_api.live import QUEUE_MESSAGES, LiveClient, Subscription, SubscriptionError
from erp_modules.kernel.authorisation import Authorisation, Principal, Role
from stream_processor.v1.points_pb2 import Points, PointsBatch


def points(site: str, equipment: str, health: float = 0.9) -> Points:
    message = Points(
        site=site,
        equipment=equipment,
        equipment_class="fan",
        equipment_path="acme/north",
        sent_time_ms=1_767_225_600_123,
    )
    message.series.add(name="health", unit="1", time_ms=[1_767_225_600_000], value=[health])
    message.aggregates.add(
        channel="Temperature",
        unit="degC",
        time_ms=[1_767_225_600_000],
        mean=[20.5],
        minimum=[20.0],
        maximum=[float("nan")],
        count=[10],
    )
    return message


async def publish(server: Any, *messages: Points) -> None:
    client = await nats.connect(
        server.broker.nats_url, user=server.broker.user, password=server.broker.password
    )
    for message in messages:
        batch = PointsBatch(points=[message])
        await client.jetstream().publish(f"points.{message.site}", batch.SerializeToString())
    await client.close()


def watch(server: Any, **headers: str) -> Any:
    origin = headers.pop("origin", server.url)
    return connect(
        f"ws://127.0.0.1:{server.http_port}/v1/live",
        origin=origin or None,
        additional_headers=headers,
        proxy=None,
    )


async def receive(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of a kind."""
    async with asyncio.timeout(20):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def subscribe(server: Any, socket: ClientConnection, site: str, **what: Any) -> None:
    """Subscribe and wait until it is in force: points of a probe come back."""
    wanted = {"site": site, **what}
    await receive(socket, "hello")
    await socket.send(json.dumps({"subscribe": wanted}))
    probe = f"probe-{secrets.token_hex(3)}" if "equipment" not in what else what["equipment"][0]
    while True:
        await publish(server, points(site, probe))
        try:
            async with asyncio.timeout(0.5):
                while json.loads(await socket.recv())["type"] != "points":
                    pass
                return
        except TimeoutError:
            continue


@pytest.fixture
def cookie(browser: httpx.Client) -> str:
    return f"headrace_session={browser.cookies['headrace_session']}"


async def test_points_come_as_the_contract_says(server: Any, cookie: str) -> None:
    site = f"site-{secrets.token_hex(3)}"
    async with watch(server, cookie=cookie) as socket:
        await subscribe(server, socket, site)
        await publish(server, points(site, "F-201"))
        message = await receive(socket, "points")
        while message["equipment"] != "F-201":
            message = await receive(socket, "points")
    assert message == {
        "type": "points",
        "site": site,
        "equipment": "F-201",
        "equipmentClass": "fan",
        "path": "acme/north",
        "sentTimeMs": 1_767_225_600_123,
        "aggregates": [
            {
                "channel": "Temperature",
                "unit": "degC",
                "timeMs": [1_767_225_600_000],
                "mean": [20.5],
                "minimum": [20.0],
                "maximum": [None],
            }
        ],
        "series": [{"name": "health", "unit": "1", "timeMs": [1_767_225_600_000], "value": [0.9]}],
    }


async def test_only_what_was_subscribed_to_comes(server: Any, cookie: str) -> None:
    site = f"site-{secrets.token_hex(3)}"
    async with watch(server, cookie=cookie) as socket:
        await subscribe(server, socket, site, equipment=["P-101"])
        await publish(
            server,
            points(site, "P-102"),
            points("elsewhere", "P-101"),
            points(site, "P-101", health=0.5),
        )
        health = 0.9
        while health == 0.9:  # probes
            message = await receive(socket, "points")
            assert (message["site"], message["equipment"]) == (site, "P-101")
            health = message["series"][0]["value"][0]
    assert health == 0.5


async def test_what_happens_in_a_module_comes_as_an_event(server: Any, cookie: str) -> None:
    site = f"site-{secrets.token_hex(3)}"
    async with watch(server, cookie=cookie) as socket:
        await subscribe(server, socket, site)
        async with httpx.AsyncClient(
            base_url=server.url, headers={"Origin": server.url, "Cookie": cookie}, trust_env=False
        ) as client:
            machine = {"site": site, "tag": f"P-{site}", "equipmentClass": "fan"}
            assert (await client.post("/v1/equipment", json=machine)).status_code == 200
            body = {"title": "Noise", "site": site, "equipment": f"P-{site}"}
            answer = await client.post("/v1/tickets", json=body)
            assert answer.status_code == 200, answer.text
            made = answer.json()
        message = await receive(socket, "event")
    assert message["event"] == "maintenance.ticket.opened"
    assert message["data"]["ticket"] == made["name"]
    assert message["data"]["site"] == site
    assert message["time"]


async def test_a_bearer_may_watch_without_an_origin(server: Any) -> None:
    async with watch(server, authorization=f"Bearer {server.token}", origin="") as socket:
        assert (await receive(socket, "hello"))["serverTime"]


async def test_strangers_and_other_sites_pages_are_refused(server: Any, cookie: str) -> None:
    for headers, status in (
        ({}, 401),
        ({"cookie": "headrace_session=guess"}, 401),
        ({"authorization": "Bearer guess"}, 401),
        ({"cookie": cookie, "origin": "https://evil.example"}, 403),
        ({"cookie": cookie, "origin": ""}, 403),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with watch(server, **headers):
                pass
        assert refused.value.response.status_code == status, headers
        assert refused.value.response.headers["content-type"] == "application/problem+json"


async def test_what_is_no_subscription_closes_with_the_reason(server: Any, cookie: str) -> None:
    async with watch(server, cookie=cookie) as socket:
        await socket.send('{"subscribe": {"equipment": "P-101"}}')
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await receive(socket, "points")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert "subscribe.equipment" in closed.value.rcvd.reason


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[", "not JSON"),
        ("[]", "subscribe"),
        ('{"subscribe": 1}', "subscribe"),
        ('{"subscribe": {"site": 1}}', "subscribe.site"),
        ('{"subscribe": {"equipment": [1]}}', "subscribe.equipment"),
        ('{"subscribe": {"sites": []}}', "subscribe.sites"),
    ],
)
def test_a_bad_subscription_names_the_field(text: str, field: str) -> None:
    with pytest.raises(SubscriptionError, match=field):
        Subscription.parse(text)


def test_a_slow_client_skips_points_and_is_told() -> None:
    client = LiveClient(Principal("users/ada", roles=frozenset({Role.ADMIN})), Authorisation())
    for number in range(3):
        client.offer(f"event {number}", is_event=True)
    for number in range(5 * QUEUE_MESSAGES):
        client.offer(f"points {number}", is_event=False)
    taken = client.take()
    assert taken[0] == '{"type":"lagging"}'
    assert taken[1:4] == ["event 0", "event 1", "event 2"]
    assert taken[-1] == f"points {5 * QUEUE_MESSAGES - 1}"
    assert len(taken) <= QUEUE_MESSAGES + 1
    client.offer("later", is_event=False)
    assert client.take() == ["later"]


def test_sites_and_scopes_limit_what_is_seen() -> None:
    reader = Principal(
        "users/olga", sites=frozenset({"north"}), scopes=frozenset({"historian.point.read"})
    )
    client = LiveClient(reader, Authorisation())
    assert not client.wants_points("north", "P-101")
    client.subscription = Subscription()
    assert client.wants_points("north", "P-101")
    assert not client.wants_points("south", "P-101")
    nobody = LiveClient(Principal("users/nobody"), Authorisation())
    nobody.subscription = Subscription()
    assert not nobody.wants_points("north", "P-101")


def test_the_flow_comes_to_who_asks_for_it_and_may_see_it() -> None:
    scopes = frozenset({"stream.processor.read"})
    client = LiveClient(Principal("users/e", scopes=scopes), Authorisation())
    client.subscription = Subscription.parse('{"subscribe": {}}')
    assert not client.wants_flow()
    client.subscription = Subscription.parse('{"subscribe": {"flow": true}}')
    assert client.wants_flow()
    nobody = LiveClient(Principal("users/nobody"), Authorisation())
    nobody.subscription = Subscription(flow=True)
    assert not nobody.wants_flow()
    with pytest.raises(SubscriptionError, match=r"subscribe\.flow"):
        Subscription.parse('{"subscribe": {"flow": 1}}')
