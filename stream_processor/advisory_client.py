"""Report advisories to the maintenance module over gRPC until it has them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import grpc
import structlog

from erp_modules.maintenance.v1.maintenance_pb2 import ReportAdvisoryRequest
from erp_modules.maintenance.v1.maintenance_pb2_grpc import AlarmServiceStub
from stream_processor.jetstream_publisher import StoppedError
from stream_processor.settings import Settings
from stream_processor.v1.alert_pb2 import Advisory

DEADLINE_S = 5.0
RETRY_S = 0.1
MAX_RETRY_S = 5.0
# The advisory is at fault: sending it again changes nothing.
REFUSED = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)
# The server failed on this advisory; after so many times it is taken to be the advisory.
FAILED = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
MAX_FAILURES = 8

Taken = TypeVar("Taken")
Made = TypeVar("Made")

log = structlog.get_logger(__name__)


class RejectedError(RuntimeError):
    """The maintenance module will not take this advisory."""


class AdvisoryClient:
    """A channel, and one thread that keeps the advisories of a partition in order."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        self._channel = grpc.insecure_channel(
            f"{settings.grpc_host}:{settings.grpc_port}",
            options=[("grpc.initial_reconnect_backoff_ms", 100),
                     ("grpc.max_reconnect_backoff_ms", 1000),
                     ("grpc.enable_http_proxy", 0)],
        )  # fmt: skip
        stub = AlarmServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._report = stub.ReportAdvisory
        self._metadata = (
            (("authorization", f"Bearer {settings.api_token}"),) if settings.api_token else ()
        )
        self._stopping = stopping
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="advisories")

    def submit(self, do: Callable[[Taken], Made], item: Taken) -> Future[Made]:
        """Do something in the client's thread, after what was submitted before."""
        return self._thread.submit(do, item)

    def report(self, advisory: Advisory) -> None:
        """Report one advisory, again and again while the server cannot take it.

        Raises:
            RejectedError: the server refuses this advisory.
            StoppedError: the process is ending and the server still does not answer.
        """
        delay, failures = RETRY_S, 0
        while True:
            try:
                self._report(
                    ReportAdvisoryRequest(advisory=advisory),
                    timeout=DEADLINE_S,
                    metadata=self._metadata,
                )
                return
            except grpc.RpcError as error:
                code, details = error.code(), error.details()
            if code is grpc.StatusCode.ALREADY_EXISTS:
                return
            failures += code in FAILED
            if code in REFUSED or failures >= MAX_FAILURES:
                raise RejectedError(f"{code.name}: {details}")
            log.warning(
                "an advisory was not taken",
                advisory=advisory.advisory_id,
                code=code.name,
                why=details,
                again_s=delay,
            )
            if self._stopping.wait(delay):
                raise StoppedError(f"advisory {advisory.advisory_id}: {code.name}: {details}")
            delay = min(2 * delay, MAX_RETRY_S)

    def stop(self) -> None:
        """Close the channel."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._channel.close()
