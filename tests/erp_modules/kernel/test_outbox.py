"""From the outbox over a real broker to the handlers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import nats
import nats.js
import pytest
from sqlalchemy import func, select

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.consumer import EventConsumers
from erp_modules.kernel.context import Context
from erp_modules.kernel.delivery import dead_events, deliver_again
from erp_modules.kernel.events import Event
from erp_modules.kernel.models import AuditRecord, HandledEvent, OutboxRow
from erp_modules.kernel.outbox import OutboxRelay, ensure_stream, purge
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb
from headrace.broker import Broker

AddVendor = Callable[..., pb.Vendor]


@pytest.fixture
async def jetstream(broker: Broker) -> AsyncIterator[nats.js.JetStreamContext]:
    client = await nats.connect(
        broker.nats_url, user=broker.user, password=broker.password, reconnect_time_wait=0.05,
        max_reconnect_attempts=-1,
    )  # fmt: skip
    context = client.jetstream(timeout=2.0)
    await ensure_stream(context)
    yield context
    await client.close()


@asynccontextmanager
async def running(*parts: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(part()) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [e for e in ended if not isinstance(e, asyncio.CancelledError)] == []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 it is in a database
            await asyncio.sleep(0.02)


async def stored(jetstream: nats.js.JetStreamContext) -> list[str]:
    subscription = await jetstream.subscribe("events.>", ordered_consumer=True)
    info = await jetstream.stream_info("EVENTS")
    messages = [await subscription.next_msg(timeout=10) for _ in range(info.state.messages)]
    await subscription.unsubscribe()
    return [json.loads(message.data)["subject"] for message in messages]


async def test_what_was_committed_is_published_in_order_and_handled_once(
    app: Application, add_vendor: AddVendor, jetstream: nats.js.JetStreamContext, seen: Any
) -> None:
    early = [add_vendor(f"early{i}").name for i in range(20)]
    relay, consumers = OutboxRelay(app, jetstream), EventConsumers(app, jetstream)
    async with running(relay.run, consumers.run):
        late = [(await asyncio.to_thread(add_vendor, f"late{i}")).name for i in range(20)]
        await until(lambda: len(seen.events) == 40)
    assert [event.subject for event in seen.events] == early + late
    assert await stored(jetstream) == early + late


async def test_a_relay_that_lost_its_memory_publishes_nothing_twice(
    app: Application,
    admin: Principal,
    add_vendor: AddVendor,
    jetstream: nats.js.JetStreamContext,
) -> None:
    names = [add_vendor(f"vendor{i}").name for i in range(5)]
    await OutboxRelay(app, jetstream).publish()

    def forget(ctx: Context) -> None:
        for row in ctx.session.scalars(select(OutboxRow)):
            row.publish_time = None

    app.run(admin, forget)
    names.append(add_vendor("one more").name)
    assert await OutboxRelay(app, jetstream).publish() == 6
    assert await stored(jetstream) == names


async def test_a_broker_that_is_away_loses_nothing(
    app: Application,
    add_vendor: AddVendor,
    jetstream: nats.js.JetStreamContext,
    broker: Broker,
    seen: Any,
) -> None:
    relay, consumers = OutboxRelay(app, jetstream), EventConsumers(app, jetstream)
    async with running(relay.run, consumers.run):
        first = await asyncio.to_thread(add_vendor, "before")
        await until(lambda: len(seen.events) == 1)
        await asyncio.to_thread(broker.kill)
        second = await asyncio.to_thread(add_vendor, "while it is away")
        await asyncio.to_thread(broker.start)
        await until(lambda: len(seen.events) == 2)
    assert [event.subject for event in seen.events] == [first.name, second.name]


async def test_a_handler_that_fails_is_tried_again_and_its_effects_happen_once(
    app: Application,
    admin: Principal,
    add_vendor: AddVendor,
    jetstream: nats.js.JetStreamContext,
    seen: Any,
) -> None:
    def fail_twice(ctx: Context, event: Event) -> None:
        ctx.record("trial.effect", event.subject, site=event.site)
        if len(seen.events) < 3:
            raise RuntimeError("not yet")

    seen.reaction = fail_twice
    made = add_vendor("acme")
    relay = OutboxRelay(app, jetstream)
    consumers = EventConsumers(app, jetstream, backoff=(0.01, 0.01, 0.01))
    async with running(relay.run, consumers.run):
        await until(lambda: app.run(admin, _handled) == 1)

    def effects(ctx: Context) -> list[str]:
        statement = select(AuditRecord.resource).where(AuditRecord.action == "trial.effect")
        return list(ctx.session.scalars(statement))

    assert app.run(admin, effects) == [made.name]


def _handled(ctx: Context) -> int:
    return ctx.session.scalar(select(func.count()).select_from(HandledEvent)) or 0


async def test_what_a_handler_cannot_handle_is_set_aside_and_found(
    app: Application, add_vendor: AddVendor, jetstream: nats.js.JetStreamContext, seen: Any
) -> None:
    def refuse(ctx: Context, event: Event) -> None:
        if event.subject == bad.name:
            raise RuntimeError("cannot")

    seen.reaction = refuse
    bad = add_vendor("bad")
    good = add_vendor("good")
    relay = OutboxRelay(app, jetstream)
    consumers = EventConsumers(app, jetstream, backoff=(0.01,))
    async with running(relay.run, consumers.run):
        await until(lambda: seen.events[-1:] != [] and seen.events[-1].subject == good.name)
    (dead,) = dead_events(app, "default")
    assert (dead.handler, dead.attempts) == ("trial.count_vendors", 2)
    assert "cannot" in dead.error

    seen.reaction = lambda ctx, event: None
    deliver_again(app, "default", dead.handler, dead.event_id)
    assert dead_events(app, "default") == []
    assert seen.events[-1].subject == bad.name


async def test_what_is_no_event_stops_nothing(
    app: Application, add_vendor: AddVendor, jetstream: nats.js.JetStreamContext, seen: Any
) -> None:
    for body in (b"", b"[]", b'{"id": 1}', b"\xff"):
        await jetstream.publish("events.default.trial.vendor.added", body)
    made = add_vendor("acme")
    relay, consumers = OutboxRelay(app, jetstream), EventConsumers(app, jetstream)
    async with running(relay.run, consumers.run):
        await until(lambda: len(seen.events) == 1)
    assert seen.events[0].subject == made.name


async def test_what_is_old_is_forgotten_but_the_audit_trail_stays(
    app: Application,
    admin: Principal,
    clock: ManualClock,
    add_vendor: AddVendor,
    jetstream: nats.js.JetStreamContext,
) -> None:
    add_vendor("acme", request_id="r-1")
    await OutboxRelay(app, jetstream).publish()
    clock.advance(timedelta(days=40))
    add_vendor("waits")
    app.run(admin, purge)

    def left(ctx: Context) -> tuple[list[str], int]:
        outbox = ctx.session.scalars(select(OutboxRow.body)).all()
        audit = ctx.session.scalars(select(AuditRecord)).all()
        return [Event.from_json(body).subject for body in outbox], len(audit)

    subjects, records = app.run(admin, left)
    assert len(subjects) == 1
    assert records == 2
