"""Run the processor as one of as many as the StatefulSet has replicas, and start it anew with them.

The autoscaler changes a number, and pods that run learn nothing of it. This asks the cluster for
the number every few seconds; when it changed, the processor is ended in good order and started with
its new share of the partitions. A partition that another process still holds is waited for, so
pods need not agree at the same moment.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

POLL_S = 5.0
# The processor ends within a snapshot's time; the pod's own grace is longer.
GRACE_S = 60.0
PROCESSOR = (sys.executable, "-m", "stream_processor")

log = logging.getLogger("follow_scale")


@dataclass(frozen=True)
class Cluster:
    """The API server as a pod knows it: an address, and a folder with token and authority."""

    address: str
    folder: Path
    namespace: str
    name: str

    def replicas(self) -> int:
        """Return how many replicas the StatefulSet is to have.

        Raises:
            OSError: the server cannot be reached, or refuses.
            ValueError: what it says is no scale.
        """
        authority = self.folder / "ca.crt"
        context = ssl.create_default_context(cafile=authority) if authority.exists() else None
        # Tokens are renewed while the pod runs.
        token = (self.folder / "token").read_text(encoding="utf-8").strip()
        request = urllib.request.Request(
            f"{self.address}/apis/apps/v1/namespaces/{self.namespace}"
            f"/statefulsets/{self.name}/scale",
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=POLL_S, context=context) as answer:
            try:
                return int(json.loads(answer.read())["spec"]["replicas"])
            except (KeyError, TypeError) as error:
                raise ValueError(f"no scale: {error!r}") from error


def share(environment: Mapping[str, str], process: int, replicas: int) -> dict[str, str]:
    """Return the processor's environment as process `process` of `replicas`.

    More replicas than partitions leave the last ones without work, not without a process: they
    stand by for the partitions of one that ends. One process alone says that the host is online.
    """
    partitions = int(environment.get("HEADRACE_PARTITIONS") or "4")
    processes = min(max(replicas, 1), partitions)
    return {
        **environment,
        "HEADRACE_PROCESSES": str(processes),
        "HEADRACE_PROCESS": str(process % processes),
        **({} if process == 0 else {"HEADRACE_HOST_ID": ""}),
    }


def follow(
    replicas: Callable[[], int],
    process: int,
    environment: Mapping[str, str],
    stopping: threading.Event,
    command: Sequence[str] = PROCESSOR,
    poll_s: float = POLL_S,
) -> int:
    """Keep the processor running with its share until `stopping`; return its exit status.

    While the cluster does not answer the last number holds. A processor that ends by itself ends
    the pod's container, which the cluster starts again.
    """
    known: int | None = None
    while known is None:
        known = _asked(replicas)
        if known is None and stopping.wait(poll_s):
            return 0
    child = _start(command, share(environment, process, known))
    while True:
        asked_to_end = stopping.wait(poll_s)
        if asked_to_end:
            return _end(child)
        status = child.poll()
        if status is not None:
            log.error("the processor ended with %d", status)
            return status or 1
        now = _asked(replicas)
        # A pod that is to go is told so; until then it keeps what it has.
        if now is None or now == known or process >= now:
            continue
        before, after = (share(environment, process, number) for number in (known, now))
        known = now
        if before == after:
            continue
        log.info("%d replicas: starting anew", now)
        _end(child)
        if stopping.is_set():
            return 0
        child = _start(command, after)


def _asked(replicas: Callable[[], int]) -> int | None:
    try:
        return replicas()
    except (OSError, ValueError) as error:
        log.warning("the cluster does not say how many replicas there are: %s", error)
        return None


def _start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    log.info("process %s of %s", environment["HEADRACE_PROCESS"], environment["HEADRACE_PROCESSES"])
    return subprocess.Popen(command, env=dict(environment))


def _end(child: subprocess.Popen[bytes]) -> int:
    """Let the processor store its state and end; kill it when it does not."""
    child.send_signal(signal.SIGTERM)
    try:
        return child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        log.error("the processor did not end within %.0f s", GRACE_S)
        child.kill()
        return child.wait()


def main() -> int:
    """Read where this pod is, follow."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format='{"event": "%(message)s", "level": "%(levelname)s", "logger": "%(name)s"}',
    )
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    name, _, ordinal = os.environ["POD_NAME"].rpartition("-")
    cluster = Cluster(
        os.environ.get("KUBERNETES_API", "https://kubernetes.default.svc"),
        Path(
            os.environ.get("SERVICE_ACCOUNT_DIR", "/var/run/secrets/kubernetes.io/serviceaccount")
        ),
        os.environ["POD_NAMESPACE"],
        name,
    )
    return follow(cluster.replicas, int(ordinal), os.environ, stopping)


if __name__ == "__main__":
    sys.exit(main())
