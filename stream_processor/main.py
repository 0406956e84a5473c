"""Run the processor: `python -m stream_processor`."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import FrameType

import structlog
from bytewax.errors import BytewaxRuntimeError
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from stream_processor import counters as counting
from stream_processor.acknowledgement import Ledger
from stream_processor.advisory_client import AdvisoryClient
from stream_processor.dataflow import Outside, Steps, build
from stream_processor.jetstream_publisher import JetStreamPublisher, StoppedError
from stream_processor.mqtt_publisher import MqttPublisher
from stream_processor.settings import Settings, SettingsError

REPORT_INTERVAL_S = 10.0
RECOVERY_PARTITIONS = 1

log = structlog.get_logger(__name__)


class AlreadyRunningError(RuntimeError):
    """Another processor uses the same recovery directory."""


def configure_logging(log_format: str) -> None:
    """Log to standard error as `json` or for a `console`."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer()
    )
    exceptions = [structlog.processors.format_exc_info] if log_format == "json" else []
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *exceptions,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


@contextmanager
def recovery(directory: Path) -> Iterator[RecoveryConfig]:
    """Hold the recovery directory, making it at the first start.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyRunningError(
                f"{directory} is in use: stop the other processor or set HEADRACE_DATA_DIR"
            ) from error
        made = directory / "made"
        if not made.exists():
            # A start that was cut short left parts that were never used.
            for part in directory.glob("*.sqlite3*"):
                part.unlink()
            init_db_dir(directory, RECOVERY_PARTITIONS)  # type: ignore[no-untyped-call]
            made.touch()
        yield RecoveryConfig(directory)  # type: ignore[no-untyped-call]


def run(settings: Settings, stages: Steps) -> None:
    """Run the flow with `stages` until SIGTERM or SIGINT.

    The first signal lets the flow take what it has read, store its state and end; what cannot be
    delivered then is left for the next start.

    Raises:
        AlreadyRunningError: another processor uses the same data directory.
        OSError: the counters' port is taken.
    """
    stopping = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    counters = counting.Counters()
    with recovery(settings.recovery_dir) as recovery_config:
        jetstream = JetStreamPublisher(settings, stopping)
        jetstream.start()
        mqtt = MqttPublisher(settings)
        ledger = Ledger(mqtt.retain)
        outside = Outside(
            settings,
            counters,
            ledger,
            jetstream,
            mqtt,
            AdvisoryClient(settings, stopping),
            stopping,
        )
        flow = build(outside, stages)
        server = (
            counting.serve(counters, settings.metrics_host, settings.metrics_port)
            if settings.metrics_port
            else None
        )
        threading.Thread(target=_report, args=(counters, stopping), daemon=True).start()
        try:
            cli_main(  # type: ignore[no-untyped-call]
                flow,
                epoch_interval=timedelta(seconds=settings.snapshot_interval_s),
                recovery_config=recovery_config,
            )
            # The flow has ended in good order: its last epoch is stored.
            ledger.durable()
        except BytewaxRuntimeError as error:
            cause = _undelivered(error)
            if cause is None:
                raise
            log.warning("left for the next start", what=str(cause))
        finally:
            stopping.set()
            mqtt.stop()
            outside.advisories.stop()
            jetstream.stop()
            if server is not None:
                server.shutdown()
            log.info("stopped", **counters.totals())


def _undelivered(error: BaseException | None) -> StoppedError | None:
    """Return the StoppedError behind what the engine raised, None when it was another."""
    while error is not None and not isinstance(error, StoppedError):
        error = error.__cause__
    return error


def _report(counters: counting.Counters, stopping: threading.Event) -> None:
    while not stopping.wait(REPORT_INTERVAL_S):
        log.info("counters", **counters.totals())


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
    stages: Steps = import_module("stream_processor.stages").STAGES
    try:
        run(settings, stages)
    except AlreadyRunningError as error:
        log.error(str(error))
        return 1
    return 0
