"""Run the bridge: `python -m stream_processor.bridge`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import structlog
from prometheus_client import start_http_server

from stream_processor.bridge.downlink import Downlink
from stream_processor.bridge.errors import InstanceTakenError, LeaseLostError, SessionError
from stream_processor.bridge.lease import Lease, StoredSession, bucket
from stream_processor.bridge.log_writer import LogWriter, connected
from stream_processor.bridge.metrics import Metrics
from stream_processor.bridge.settings import Settings
from stream_processor.bridge.uplink import Uplink
from stream_processor.logs import configure_logging
from stream_processor.settings import SettingsError
from stream_processor.tasks import all_of, first_of

REPORT_INTERVAL_S = 10.0
RETRY_S = 0.25
MAX_RETRY_S = 5.0

log = structlog.get_logger(__name__)


class Bridge:
    """Sessions with plant and cloud, one after the other.

    What fails ends the whole session. What the plant was not confirmed comes again with the next
    one, under the same ids: there is one way to recover, and a crash takes it too.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._lease = Lease(settings.name, settings.instance, settings.lease_s)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Take nothing more, let the log confirm what is here, and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Bridge until stopped.

        Raises:
            InstanceTakenError: another process runs under this instance's name.
        """
        attempt = 0
        while not self._stopping.is_set():
            begun = self._begun()
            try:
                async with connected(self._settings) as writer:
                    await self._session(writer)
            except SessionError as error:
                self._metrics.lost.inc()
                attempt = 0 if self._begun() > begun else min(attempt + 1, 8)
                # Full jitter, so that a plant's bridges do not come back all at once.
                pause = random.uniform(0.1, min(MAX_RETRY_S, RETRY_S * 2**attempt))
                log.warning("session lost", why=str(error), again_s=round(pause, 2))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)

    def _begun(self) -> float:
        return self._metrics.totals()["sessions_total"]

    async def _session(self, writer: LogWriter) -> None:
        store = await bucket(writer)
        stored = StoredSession(store, self._settings.title)
        listening = asyncio.Event()
        up = partial(self._up, writer, stored, listening)
        down = partial(self._down, listening)
        if self._settings.share:
            # Every instance takes its share of the plant's messages; one of them answers.
            answers = self._leased(store, down, self._stopped)
            await first_of(self._watch(writer), all_of(up(), answers))
        else:
            await first_of(self._watch(writer), self._leased(store, down, up))

    @staticmethod
    async def _watch(writer: LogWriter) -> None:
        await writer.lost
        raise SessionError("the log: the connection was lost")

    async def _up(self, writer: LogWriter, stored: StoredSession, listening: asyncio.Event) -> None:
        uplink = Uplink(self._settings, writer, stored, listening, self._metrics)
        await uplink.run(self._stopping)

    async def _down(self, listening: asyncio.Event) -> None:
        await Downlink(self._settings, listening, self._metrics).run()

    async def _leased(self, store: Any, *duties: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do what only one instance may while the lease is ours."""
        await first_of(self._lease.acquire(store), self._stopped())
        if self._stopping.is_set():
            return
        self._metrics.active.set(1)
        try:
            await first_of(self._lease.keep(store), *(duty() for duty in duties))
        except LeaseLostError:
            raise
        except SessionError:
            # Whoever reaches the plant, or the log, may do better.
            await self._lease.release(store)
            raise
        finally:
            self._metrics.active.set(0)
        await self._lease.release(store)

    async def _stopped(self) -> None:
        await self._stopping.wait()


async def run(settings: Settings) -> None:
    """Bridge until SIGTERM or SIGINT.

    Raises:
        InstanceTakenError: another process runs under this instance's name.
        OSError: the metrics' port is taken.
    """
    metrics = Metrics()
    bridge = Bridge(settings, metrics)
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        log.info("stopping", signal=number.name)
        bridge.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    server = None
    if settings.metrics_port:
        server, _ = start_http_server(
            settings.metrics_port, settings.metrics_host, registry=metrics.registry
        )
    report = asyncio.create_task(_report(metrics))
    try:
        await bridge.run()
    finally:
        report.cancel()
        if server is not None:
            server.shutdown()
        log.info("stopped", **metrics.totals())


async def _report(metrics: Metrics) -> None:
    while True:
        await asyncio.sleep(REPORT_INTERVAL_S)
        log.info("counters", **metrics.totals())


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Read the settings, run; return the exit status."""
    try:
        settings = Settings.from_environment(environment)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure_logging(settings.log_format)
    log.info("starting", **settings.redacted())
    try:
        asyncio.run(run(settings))
    except InstanceTakenError as error:
        log.error(str(error))
        return 1
    return 0
