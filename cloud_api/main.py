"""The composition root of the server: one event loop, every part of it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import nats.errors
import structlog
import uvicorn
from nats.aio.client import Client as NatsClient
from nats.js import JetStreamContext

from cloud_api import logs
from cloud_api.app import create_app
from cloud_api.dead_letters.index import DeadLetterIndex
from cloud_api.dead_letters.log import DeadLetterLog
from cloud_api.dead_letters.migrate import upgrade as upgrade_dead_letters
from cloud_api.dead_letters.runner import ReplayRunner
from cloud_api.dead_letters.service import DeadLetterService
from cloud_api.fleet_authority import AuthorityError, open_authority
from cloud_api.fleet_broker import FOLDER as BROKER
from cloud_api.fleet_broker import USERS, BrokerList, Login
from cloud_api.fleet_commands import CommandSender
from cloud_api.fleet_consumer import FleetConsumer
from cloud_api.flow.board import StatusBoard
from cloud_api.flow.feed import FlowFeed
from cloud_api.flow.service import FlowService
from cloud_api.grpc_server import GrpcServer
from cloud_api.historian import HistorianError, open_historian
from cloud_api.historian_service import HistorianService
from cloud_api.live import LiveHub
from cloud_api.points_consumer import PointsConsumer
from cloud_api.readiness import Readiness
from cloud_api.settings import Settings, SettingsError
from cloud_api.sign_in.accounts import Accounts
from cloud_api.sign_in.authenticator import SignInAuthenticator
from cloud_api.sign_in.migrate import upgrade
from cloud_api.sign_in.throttle import Throttle
from cloud_api.streams import ensure_streams
from cloud_api.updates import FOLDER as UPDATES
from cloud_api.updates import RepositoryMissingError, UpdateRepository
from erp_modules.fleet.manifest import manifest as fleet_manifest
from erp_modules.fleet.ports import Ports
from erp_modules.kernel.authorisation import Role
from erp_modules.kernel.bootstrap import bootstrap, discover
from erp_modules.kernel.consumer import EventConsumers
from erp_modules.kernel.manifest import Manifest
from erp_modules.kernel.outbox import OutboxRelay, ensure_stream
from erp_modules.kernel.scheduler import JobRunner

GRACE_SECONDS = 2.0
READERS = (Role.OPERATOR, Role.TECHNICIAN, Role.PLANNER, Role.ENGINEER, Role.SERVICE)

log = structlog.get_logger(__name__)


class _HttpServer(uvicorn.Server):
    """Uvicorn inside our loop: signals are ours."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run every part until `stop` is set or one of them fails, then end in good order.

    Raises:
        SettingsError: an address is taken.
        HistorianError: the historian cannot be opened.
        AuthorityError: the certificate authority's files cannot be used.
        Exception: what made a part end.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    http_socket = _listen(settings.http_host, settings.http_port)
    broker = NatsClient()
    jetstream = broker.jetstream()
    historian = open_historian(settings.historian_url, settings.historian_retention)
    letters = DeadLetterLog(jetstream, asyncio.get_running_loop())
    board = StatusBoard(time.monotonic, lambda: datetime.now(UTC))
    manifest = Manifest(
        name="cloud_api",
        title="Serving",
        services=(HistorianService(historian), DeadLetterService(letters), FlowService(board)),
        permissions={
            **dict.fromkeys(READERS, ("historian.point.read",)),
            Role.ENGINEER: (
                "historian.point.read",
                "stream.dead_letter.read",
                "stream.dead_letter.replay",
                "stream.processor.read",
            ),
        },
    )
    updates = _updates(settings)
    fleet = fleet_manifest(
        Ports(
            authority=open_authority(settings.data_dir),
            updates=updates,
            broker=BrokerList(
                host=settings.mqtt_host,
                port=settings.mqtt_port,
                path=settings.data_dir / BROKER / USERS,
                login=Login(settings.broker_user, settings.broker_password),
                pid_file=settings.broker_pid_file,
                services=settings.broker_services,
            ),
            commands=CommandSender(broker, asyncio.get_running_loop()),
        )
    )
    modules = [fleet if module.name == fleet.name else module for module in discover()]
    application = bootstrap(settings.database_url, manifests=modules, extra=[manifest])
    upgrade(application.database.engine)
    upgrade_dead_letters(application.database.engine)
    accounts = Accounts(
        application.database, application.clock, Throttle(time.monotonic), settings.api_token
    )
    password = accounts.add_first_user(settings.admin_password)
    if password is not None:
        address = f"http://{settings.http_host}:{settings.http_port}"
        sys.stdout.write(
            f"\n  First start: sign in at {address} as admin with the password {password}\n"
            "  It is not shown again.\n\n"
        )
        sys.stdout.flush()
    authenticator = SignInAuthenticator(accounts)
    hub = LiveHub(authenticator, application.authorisation, _version())
    feed = FlowFeed(board, hub)
    consumer = PointsConsumer(jetstream, historian)
    fleet_consumer = FleetConsumer(jetstream, application)
    dead_letters = DeadLetterIndex(jetstream, application, letters)
    replays = ReplayRunner(application, letters)
    grpc_server = GrpcServer(application, authenticator)
    readiness = Readiness(
        {
            "broker": lambda: broker.is_connected,
            "grpc": lambda: grpc_server.running,
            "points": lambda: consumer.running,
            "fleet": lambda: fleet_consumer.running,
            "dead_letters": lambda: dead_letters.running,
        }
    )
    app = create_app(application, accounts, authenticator, hub, readiness, updates)
    http_server = _HttpServer(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            timeout_graceful_shutdown=int(GRACE_SECONDS),
        )
    )

    async def flow() -> None:
        """Run what needs the broker."""
        await _connect(broker, settings)
        await _prepare(jetstream, settings.stream_replicas)
        await hub.listen(broker)
        await feed.listen(broker)
        async with asyncio.TaskGroup() as group:
            group.create_task(OutboxRelay(application, jetstream).run())
            group.create_task(EventConsumers(application, jetstream).run())
            group.create_task(JobRunner(application).run())
            group.create_task(consumer.run())
            group.create_task(fleet_consumer.run())
            group.create_task(dead_letters.run())
            group.create_task(replays.run())
            group.create_task(feed.run())
            await grpc_server.set_serving(True)
            log.info("running", http=settings.http_port, grpc=settings.grpc_port)

    http = asyncio.create_task(http_server.serve([http_socket]))
    stopped = asyncio.create_task(stop.wait())
    background: asyncio.Task[None] | None = None
    try:
        try:
            await grpc_server.start(f"{settings.grpc_host}:{settings.grpc_port}")
        except RuntimeError as error:
            raise SettingsError(
                "HEADRACE_GRPC_HOST, HEADRACE_GRPC_PORT: cannot listen at "
                f"{settings.grpc_host}:{settings.grpc_port}: {error}"
            ) from error
        background = asyncio.create_task(flow())
        done, _ = await asyncio.wait(
            [http, background, stopped], return_when=asyncio.FIRST_COMPLETED
        )
        for task in done - {stopped}:
            task.result()
    finally:
        log.info("stopping")
        readiness.draining = True
        stopped.cancel()
        await grpc_server.set_serving(False)
        http_server.should_exit = True
        await asyncio.gather(grpc_server.stop(GRACE_SECONDS), http, return_exceptions=True)
        if background is not None:
            background.cancel()
            await asyncio.gather(background, return_exceptions=True)
        # One that was never there has nothing to close, and fails to.
        if broker.is_connected or broker.is_reconnecting:
            await broker.close()
        historian.close()
        application.close()
        log.info("stopped")


def _updates(settings: Settings) -> UpdateRepository | None:
    try:
        return UpdateRepository(settings.data_dir / UPDATES)
    except RepositoryMissingError as error:
        log.info("no_update_repository", reason=str(error), order="headrace fleet keys init")
        return None


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SettingsError(
            f"HEADRACE_HTTP_HOST, HEADRACE_HTTP_PORT: cannot listen at {host}:{port}: {error}"
        ) from error


async def _connect(broker: NatsClient, settings: Settings) -> None:
    """Connect, waiting for a broker that is away, and reconnect for as long as we live."""

    async def failed(error: Exception) -> None:
        log.warning("broker_error", error=repr(error))

    async def lost() -> None:
        log.warning("broker_lost")

    async def back() -> None:
        log.info("broker_back")

    await broker.connect(
        settings.nats_servers,
        name="cloud_api",
        user=settings.broker_user or None,
        password=settings.broker_password or None,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.5,  # type: ignore[arg-type]
        ping_interval=5,
        max_outstanding_pings=2,
        error_cb=failed,
        disconnected_cb=lost,
        reconnected_cb=back,
    )


async def _prepare(jetstream: JetStreamContext, replicas: int) -> None:
    """Make the streams; a broker that has just started may need a moment for them."""
    while True:
        try:
            await ensure_stream(jetstream, replicas)
            await ensure_streams(jetstream, replicas)
            return
        except (nats.errors.Error, OSError) as error:
            log.warning("streams_wait", error=repr(error))
            await asyncio.sleep(0.5)


def _version() -> str:
    try:
        return version("headrace")
    except PackageNotFoundError:
        return "0"


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"cloud_api: {error}\n")
        return 2
    logs.configure(settings.log_format)
    # Threads work on batches beside the loop: at the default of 5 ms each of them delays a call.
    sys.setswitchinterval(0.001)
    log.info("settings", **settings.redacted())
    try:
        asyncio.run(_until_signalled(settings))
    except (SettingsError, HistorianError, AuthorityError) as error:
        sys.stderr.write(f"cloud_api: {error}\n")
        return 2
    return 0
