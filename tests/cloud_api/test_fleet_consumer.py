"""From the log to the fleet, through a real broker and a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiomqtt
import nats
import pytest
from nats.js import JetStreamContext

from cloud_api.counters import FLEET_REJECTED
from cloud_api.fleet_consumer import DURABLE, FleetConsumer
from cloud_api.streams import FLEET, ensure_streams
from edge_agent.v1.report_pb2 import (
    INSTALLATION_STATE_RUNNING,
    OUTCOME_DONE,
    CommandOutcome,
    GatewayReport,
)
from erp_modules.fleet import commands
from erp_modules.fleet.manifest import MANIFEST
from erp_modules.fleet.repository import GatewayRepository
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from headrace.broker import Broker

ADA = Principal("users/ada", roles=frozenset({Role.ADMIN}))


@pytest.fixture
def app(sqlite_url: str) -> Iterator[Application]:
    application = bootstrap(sqlite_url, manifests=[MANIFEST])
    yield application
    application.close()


@pytest.fixture
def sqlite_url(tmp_path: object) -> str:
    return f"sqlite:///{tmp_path}/headrace.db"


@pytest.fixture
async def jetstream(broker: Broker) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    context = client.jetstream()
    await ensure_streams(context)
    yield context
    await client.close()


@asynccontextmanager
async def running(consumer: FleetConsumer) -> AsyncIterator[None]:
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def drained(jetstream: JetStreamContext) -> None:
    """Wait until every message is acknowledged."""
    async with asyncio.timeout(30):
        while True:
            try:
                info = await jetstream.consumer_info(FLEET, DURABLE)
            except nats.js.errors.NotFoundError:
                info = None
            if info is not None and info.num_pending == 0 and info.num_ack_pending == 0:
                return
            await asyncio.sleep(0.02)


def report(edge_node: str, version: str = "1", site: str = "plant") -> GatewayReport:
    told = GatewayReport(site=site, edge_node=edge_node, report_interval_s=60)
    told.models.add(equipment_class="fan", version=version, state=INSTALLATION_STATE_RUNNING)
    return told


def gateways(app: Application) -> list[str]:
    request = pb.ListGatewaysRequest()
    answer = app.call("erp_modules.fleet.v1.GatewayService.ListGateways", request, ADA)
    assert isinstance(answer, pb.ListGatewaysResponse)
    return [one.edge_node for one in answer.gateways]


def versions(app: Application) -> list[tuple[str, str, bool]]:
    request = pb.ListInstallationsRequest(history=True, order_by="gateway")
    answer = app.call("erp_modules.fleet.v1.GatewayService.ListInstallations", request, ADA)
    assert isinstance(answer, pb.ListInstallationsResponse)
    return sorted(
        (one.gateway.rpartition("~")[2], one.version, not one.HasField("until_time"))
        for one in answer.installations
    )


async def test_what_a_gateway_says_over_mqtt_is_in_the_registry_over_restarts(
    broker: Broker, jetstream: JetStreamContext, app: Application
) -> None:
    async with aiomqtt.Client(
        "127.0.0.1", broker.mqtt_port, username=broker.user, password=broker.password
    ) as gateway:
        # Nobody reads yet: the stream keeps it.
        await gateway.publish("headrace/report/plant/e1", report("e1").SerializeToString(), qos=1)
        async with running(FleetConsumer(jetstream, app)):
            await drained(jetstream)
        assert versions(app) == [("e1", "1", True)]
        later = report("e1", "2").SerializeToString()
        await gateway.publish("headrace/report/plant/e1", later, qos=1)
        async with running(FleetConsumer(jetstream, app)):
            await drained(jetstream)
    assert versions(app) == [("e1", "1", False), ("e1", "2", True)]


async def test_what_cannot_be_kept_does_not_stop_the_others(
    jetstream: JetStreamContext, app: Application
) -> None:
    rejected = FLEET_REJECTED._value.get()
    huge = report("huge")
    huge.last_error = "x" * 300_000
    unknown = report("unknown")
    unknown.models[0].state = 99  # type: ignore[assignment]
    for subject, content in (
        ("headrace.report.plant.e1", report("e1").SerializeToString()),
        ("headrace.report.plant.e2", b"\xff\xff nonsense"),
        # Whose certificate lets it write here says that it is another.
        ("headrace.report.plant.e3", report("e1", "9").SerializeToString()),
        ("headrace.report.other.e1", report("e1", "9").SerializeToString()),
        ("headrace.report.plant.e4.more", report("e4").SerializeToString()),
        ("headrace.report.plant.huge", huge.SerializeToString()),
        ("headrace.report.plant.unknown", unknown.SerializeToString()),
        ("headrace.outcome.plant.e1", b""),
        ("headrace.outcome.plant.e1",
         CommandOutcome(site="plant", edge_node="e1", command_id="cmd-none").SerializeToString()),
        ("headrace.report.plant.e5", report("e5").SerializeToString()),
    ):  # fmt: skip
        await jetstream.publish(subject, content)
    async with running(FleetConsumer(jetstream, app)):
        await drained(jetstream)
    assert gateways(app) == ["e1", "e5"]
    assert versions(app) == [("e1", "1", True), ("e5", "1", True)]
    assert FLEET_REJECTED._value.get() - rejected == 7


async def test_an_outcome_settles_the_command_of_its_own_gateway_only(
    jetstream: JetStreamContext, app: Application
) -> None:
    async with running(FleetConsumer(jetstream, app)):
        for node in ("e1", "e2"):
            await jetstream.publish(
                f"headrace.report.plant.{node}", report(node).SerializeToString()
            )
        await drained(jetstream)
        command = app.run(app.system("default", "fleet"), issued)

        def state() -> pb.CommandState:
            request = pb.GetCommandRequest(name=f"commands/{command}")
            found = app.call("erp_modules.fleet.v1.CommandService.GetCommand", request, ADA)
            assert isinstance(found, pb.Command)
            return found.state

        for node, expected in (
            ("e2", pb.COMMAND_STATE_CONFIRMED),
            ("e1", pb.COMMAND_STATE_DONE),
            ("e1", pb.COMMAND_STATE_DONE),
        ):
            outcome = CommandOutcome(
                site="plant", edge_node=node, command_id=command, outcome=OUTCOME_DONE
            )
            outcome.outcome_time.GetCurrentTime()
            await jetstream.publish(f"headrace.outcome.plant.{node}", outcome.SerializeToString())
            await drained(jetstream)
            assert state() == expected


def issued(ctx: object) -> str:
    gateway = GatewayRepository(ctx).get("plant~e1")  # type: ignore[arg-type]
    value = pb.Value(boolean=True)
    row = commands.issue(ctx, gateway, "Node Control/Rebirth", value, "")  # type: ignore[arg-type]
    return row.id
