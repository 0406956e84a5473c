"""Run the processor: `python -m stream_processor`."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import FrameType

import structlog

from stream_processor.acknowledgement import Ledger
from stream_processor.advisory_client import AdvisoryClient
from stream_processor.counters import Counters
from stream_processor.dataflow import Outside, Steps, build
from stream_processor.flow_graph import steps_of
from stream_processor.jetstream_publisher import JetStreamPublisher
from stream_processor.logs import configure_logging
from stream_processor.meters import Meters
from stream_processor.metrics_server import serve
from stream_processor.mqtt_publisher import MqttPublisher
from stream_processor.partition_flow import run_partition
from stream_processor.recovery import StillHeldError
from stream_processor.schema import StateError
from stream_processor.settings import Settings, SettingsError
from stream_processor.single_store import divide
from stream_processor.status import Identity, Speaker
from stream_processor.status_publisher import StatusPublisher

REPORT_INTERVAL_S = 10.0

log = structlog.get_logger(__name__)


def run(settings: Settings, stages: Steps) -> None:
    """Run the flows of this process's partitions with `stages` until SIGTERM or SIGINT.

    The first signal lets them take what they have read, store their state and end; what cannot be
    delivered then is left for the next start.

    Raises:
        OSError: the counters' port is taken.
        StateError: what was stored is of newer code, or too old.
        BytewaxRuntimeError: a flow failed; the others were ended in good order.
    """
    stopping = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    counters, meters = Counters(), Meters(settings.recovery_dir)
    for partition in settings.own_partitions:
        meters.expect(partition)
    jetstream = JetStreamPublisher(settings, stopping)
    jetstream.start()
    mqtt = MqttPublisher(settings)
    outside = Outside(
        settings, counters, meters, jetstream, mqtt, AdvisoryClient(settings, stopping), stopping
    )
    server = (
        serve(counters, meters, settings.metrics_host, settings.metrics_port)
        if settings.metrics_port
        else None
    )
    threading.Thread(target=_report, args=(counters, stopping), daemon=True).start()
    # The flow of any partition: they differ by what they read.
    flow = build(outside, Ledger(mqtt.retain), stages, settings.own_partitions[0])
    identity = Identity(socket.gethostname(), os.getpid(), _version(), datetime.now(UTC))
    speaker = Speaker(identity, settings, steps_of(flow), counters, meters)
    status = StatusPublisher(speaker, jetstream)
    try:
        _run_flows(outside, stages)
    finally:
        mqtt.stop()
        outside.advisories.stop()
        status.stop()
        jetstream.stop()
        if server is not None:
            server.shutdown()
        log.info("stopped", **counters.totals())


def _run_flows(outside: Outside, stages: Steps) -> None:
    """Run a flow a partition; when one ends all do, for whoever watches the process starts all."""
    settings = outside.settings
    partitions = settings.own_partitions
    try:
        divide(settings.data_dir / "recovery", settings.partitions, outside.stopping)
    except StillHeldError:
        return
    with ThreadPoolExecutor(len(partitions), thread_name_prefix="partition") as threads:
        flows = [threads.submit(run_partition, outside, stages, p) for p in partitions]
        wait(flows, return_when=FIRST_COMPLETED)
        outside.stopping.set()
    for flow in flows:
        with suppress(StillHeldError):
            flow.result()


def _report(counters: Counters, stopping: threading.Event) -> None:
    while not stopping.wait(REPORT_INTERVAL_S):
        log.info("counters", **counters.totals())


def _version() -> str:
    try:
        return version("headrace")
    except PackageNotFoundError:
        return "0"


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Read the settings, warm the kernels up, run; return the exit status."""
    try:
        settings = Settings.from_environment(environment)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure_logging(settings.log_format)
    log.info("starting", **settings.redacted())
    import_module("stream_processor.kernels").warm_up()
    log.info("kernels are ready")
    try:
        stages: Steps = import_module("stream_processor.stages").stages_with(settings.life_dir)
    except ValueError as error:
        sys.stderr.write(f"HEADRACE_LIFE_DIR: {error}\n")
        return 2
    try:
        run(settings, stages)
    except StateError as error:
        log.error("cannot go on from what was stored", why=str(error))
        return 1
    return 0
