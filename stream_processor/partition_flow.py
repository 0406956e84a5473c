"""The flow of one partition of the log, and what it keeps.

A machine speaks through one edge node and an edge node through one partition, so flows share
nothing but the doors of their process, and a partition goes to another process as it is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

import structlog
from bytewax.errors import BytewaxRuntimeError
from bytewax.run import cli_main

from stream_processor.acknowledgement import Ledger
from stream_processor.dataflow import Outside, Steps, build
from stream_processor.jetstream_publisher import StoppedError
from stream_processor.recovery import recovery
from stream_processor.schema import StateError

Kind = TypeVar("Kind", bound=BaseException)

log = structlog.get_logger(__name__)


def run_partition(outside: Outside, stages: Steps, partition: int) -> None:
    """Run the flow of a partition until the process is told to stop.

    Raises:
        StillHeldError: told to stop while another process had the partition.
        StateError: what was stored is of newer code, or too old.
        BytewaxRuntimeError: the flow failed.
    """
    settings = outside.settings
    with recovery(settings.recovery_dir(partition), outside.stopping) as recovery_config:
        ledger = Ledger(outside.mqtt.retain)
        try:
            cli_main(  # type: ignore[no-untyped-call]
                build(outside, ledger, stages, partition),
                epoch_interval=timedelta(seconds=settings.snapshot_interval_s),
                recovery_config=recovery_config,
            )
            # The flow has ended in good order: its last epoch is stored.
            ledger.durable()
        except BytewaxRuntimeError as error:
            unreadable = _behind(error, StateError)
            if unreadable is not None:
                raise unreadable from error
            undelivered = _behind(error, StoppedError)
            if undelivered is None:
                raise
            log.warning("left for the next start", partition=partition, what=str(undelivered))


def _behind(error: BaseException | None, kind: type[Kind]) -> Kind | None:
    """Return the error of a kind behind what the engine raised, None when it was another."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__
    return error
