"""The running flow through REST, gRPC and the live view of a real server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import nats
import pytest
from websockets.asyncio.client import connect

from cloud_api.v1 import flow_pb2, flow_pb2_grpc
from erp_modules.kernel.authorisation import Role

PASSWORD = "correct horse battery staple"


async def tell(server: Any, *statuses: Any) -> None:
    client = await nats.connect(
        server.broker.nats_url, user=server.broker.user, password=server.broker.password
    )
    for status in statuses:
        await client.publish(f"headrace.processor.{status.id}", status.SerializeToString())
    await client.flush()
    await client.close()


@pytest.fixture
def told(server: Any, browser: httpx.Client, say: Any) -> Iterator[Callable[..., dict[str, Any]]]:
    """Says something until the server shows it, and returns the flow; ended after the test."""
    ids: set[str] = set()

    def until(ready: Callable[[dict[str, Any]], bool], *statuses: Any) -> dict[str, Any]:
        ids.update(status.id for status in statuses)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            asyncio.run(tell(server, *statuses))
            flow: dict[str, Any] = browser.get("/v1/flow").raise_for_status().json()
            if ready(flow):
                return flow
        raise AssertionError("it was not shown within a minute")

    yield until
    asyncio.run(tell(server, *(say(id, 1e6, ending=True) for id in ids)))


def test_the_flow_and_its_processes_are_served(
    server: Any, browser: httpx.Client, told: Any, say: Any
) -> None:
    words = [say("rest-1", 100.0 + s, items=20 * s, lag=12) for s in (0, 5)]
    flow = told(lambda flow: "messagesPerSecond" in flow, *words)
    assert flow["steps"][0]["name"] == "telemetry"
    assert flow["steps"][0]["feeds"] == ["to_historian"]
    assert (flow["messagesPerSecond"], flow["lagMessages"], flow["lagSeconds"]) == (20, "12", 1.2)
    assert (flow["runningCount"], flow["expectedCount"]) == (1, 1)
    listed = browser.get("/v1/processors").json()["processors"]
    assert [p["name"] for p in listed] == ["processors/rest-1"]
    partition = listed[0]["partitions"][0]
    assert (partition["held"], partition["position"], partition["lastDevice"]) == (
        True,
        "100",
        "north/P-101",
    )
    metadata = (("authorization", f"Bearer {token_of(browser)}"),)
    with server.channel() as channel:
        stub = flow_pb2_grpc.FlowServiceStub(channel)  # type: ignore[no-untyped-call]
        over_grpc = stub.GetFlow(flow_pb2.GetFlowRequest(), metadata=metadata)
        assert [step.name for step in over_grpc.steps] == ["telemetry", "to_historian"]
        processors = stub.ListProcessors(flow_pb2.ListProcessorsRequest(), metadata=metadata)
        assert [p.host for p in processors.processors] == ["h"]


def token_of(browser: httpx.Client) -> str:
    answer = browser.post("/v1/session/tokens", json={"title": "test"}).raise_for_status()
    return str(answer.json()["token"])


def test_engineers_may_see_it_and_others_not(server: Any, told: Any, say: Any) -> None:
    server.add_user("flow-engineer", {Role.ENGINEER}, {"south"})
    server.add_user("flow-operator", {Role.OPERATOR}, set())
    told(lambda flow: len(flow["processors"]) == 1, say("seen-1"))
    with server.browser("flow-engineer") as engineer:
        (processor,) = engineer.get("/v1/processors").json()["processors"]
        assert processor["partitions"][0]["lastDevice"] == "", "of a site that is not theirs"
    with server.browser("flow-operator") as operator:
        for path in ("/v1/flow", "/v1/processors"):
            assert operator.get(path).status_code == 403
    with server.stranger() as stranger:
        assert stranger.get("/v1/flow").status_code == 401
    with server.channel() as channel:
        stub = flow_pb2_grpc.FlowServiceStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetFlow(flow_pb2.GetFlowRequest())
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_what_is_no_status_changes_nothing(
    server: Any, browser: httpx.Client, told: Any, say: Any
) -> None:
    async def disturb() -> None:
        client = await nats.connect(
            server.broker.nats_url, user=server.broker.user, password=server.broker.password
        )
        await client.publish("headrace.processor.bad-1", b"\xff\xff\xff")
        await client.publish(
            "headrace.processor.bad-2", say("bad-2", of=2**32 - 1).SerializeToString()
        )
        await client.publish("headrace.processor.bad-3", say("other").SerializeToString())
        await client.flush()
        await client.close()

    asyncio.run(disturb())
    flow = told(lambda flow: bool(flow["processors"]), say("good-1"))
    assert [p["name"] for p in flow["processors"]] == ["processors/good-1"]


async def first_flow(server: Any, cookie: str, ready: Callable[[dict[str, Any]], bool]) -> Any:
    async with (
        asyncio.timeout(60),
        connect(
            f"ws://127.0.0.1:{server.http_port}/v1/live",
            origin=server.url,
            additional_headers={"cookie": cookie},
            proxy=None,
        ) as socket,
    ):
        await socket.send(json.dumps({"subscribe": {"site": "nowhere", "flow": True}}))
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == "flow" and ready(message["flow"]):
                return message["flow"]


def test_the_flow_comes_live_to_who_asks_for_it(
    server: Any, browser: httpx.Client, told: Any, say: Any
) -> None:
    told(lambda flow: bool(flow["processors"]), say("live-1"))
    cookie = f"headrace_session={browser.cookies['headrace_session']}"
    flow = asyncio.run(first_flow(server, cookie, lambda flow: bool(flow["processors"])))
    assert [step["name"] for step in flow["steps"]] == ["telemetry", "to_historian"]
    silent = asyncio.run(
        first_flow(
            server,
            cookie,
            lambda flow: flow["processors"][0]["state"] == "PROCESSOR_STATE_SILENT",
        )
    )
    assert silent["runningCount"] == 0
