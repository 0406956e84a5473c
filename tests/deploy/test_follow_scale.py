"""A pod's processor follows the number of replicas."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy/kubernetes/base/follow_scale.py"
# In the processor's place: says as which process it runs, and ends in good order.
CHILD = """
import os, signal, sys, threading
end = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: end.set())
names = ("HEADRACE_PROCESS", "HEADRACE_PROCESSES", "HEADRACE_HOST_ID")
told = "/".join(os.environ.get(name, "-") for name in names)
with open(sys.argv[1], "a") as log: log.write(f"start {told}\\n")
end.wait()
with open(sys.argv[1], "a") as log: log.write(f"end {told}\\n")
"""


@pytest.fixture(scope="module")
def follow_scale() -> ModuleType:
    spec = importlib.util.spec_from_file_location("follow_scale", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["follow_scale"] = module
    spec.loader.exec_module(module)
    return module


class ApiServer:
    """The one answer of the cluster's API server that a pod asks for."""

    def __init__(self) -> None:
        self.replicas: Any = 2
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Authorization"]))
                body = json.dumps({"kind": "Scale", "spec": {"replicas": outer.replicas}}).encode()
                self.send_response(200 if outer.replicas else 503)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.server.shutdown()
    server.server.server_close()


def wait_for(look: Callable[[], bool], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("process", "replicas", "told"),
    [
        (0, 1, ("1", "0", "plant")),
        (1, 2, ("2", "1", "")),
        (3, 4, ("4", "3", "")),
        # More pods than partitions: one stands by.
        (5, 6, ("4", "1", "")),
        (0, 0, ("1", "0", "plant")),
    ],
)
def test_a_processs_share(
    follow_scale: ModuleType, process: int, replicas: int, told: tuple[str, str, str]
) -> None:
    given = {"HEADRACE_PARTITIONS": "4", "HEADRACE_HOST_ID": "plant", "OTHER": "x"}
    said = follow_scale.share(given, process, replicas)

    assert (said["HEADRACE_PROCESSES"], said["HEADRACE_PROCESS"], said["HEADRACE_HOST_ID"]) == told
    assert said["OTHER"] == "x"


def test_every_partition_is_some_processs(follow_scale: ModuleType) -> None:
    from stream_processor.settings import Settings

    for replicas in range(1, 11):
        held: set[int] = set()
        for process in range(replicas):
            told = follow_scale.share({"HEADRACE_PARTITIONS": "8"}, process, replicas)
            held |= set(Settings.from_environment(told).own_partitions)
        assert held == set(range(8))


def test_the_processor_is_started_anew_with_another_number(
    follow_scale: ModuleType, api_server: ApiServer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("the pod's token\n")
    said = tmp_path / "said"
    said.touch()
    cluster = follow_scale.Cluster(api_server.address, tmp_path, "headrace", "stream-processor")
    stopping = threading.Event()
    ended: list[int] = []
    runner = threading.Thread(
        target=lambda: ended.append(
            follow_scale.follow(
                cluster.replicas,
                1,
                {**os.environ, "HEADRACE_PARTITIONS": "8"},
                stopping,
                (sys.executable, "-c", CHILD, str(said)),
                poll_s=0.05,
            )
        )
    )
    runner.start()
    try:
        wait_for(lambda: said.read_text() == "start 1/2/\n", said.read_text)
        # A server that is away for a while changes nothing.
        api_server.replicas = None
        seen = len(api_server.asked)
        wait_for(lambda: len(api_server.asked) > seen + 2, lambda: api_server.asked)
        api_server.replicas = 4
        expected = "start 1/2/\nend 1/2/\nstart 1/4/\n"
        wait_for(lambda: said.read_text() == expected, said.read_text)
        # This pod is to go: the cluster ends it, it does not end itself.
        api_server.replicas = 1
        seen = len(api_server.asked)
        wait_for(lambda: len(api_server.asked) > seen + 2, lambda: api_server.asked)
        assert said.read_text() == expected
    finally:
        stopping.set()
        runner.join(60)
    assert said.read_text() == expected + "end 1/4/\n"
    assert ended == [0]
    path, authorization = api_server.asked[0]
    assert path == "/apis/apps/v1/namespaces/headrace/statefulsets/stream-processor/scale"
    assert authorization == "Bearer the pod's token"


def test_a_processor_that_ends_by_itself_ends_the_container(follow_scale: ModuleType) -> None:
    command = (sys.executable, "-c", "raise SystemExit(2)")
    status = follow_scale.follow(lambda: 1, 0, os.environ, threading.Event(), command, poll_s=0.05)

    assert status == 2


def test_it_waits_for_a_cluster_that_does_not_answer_and_can_be_told_to_end(
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text("x")
    environment = {
        **os.environ,
        "POD_NAME": "stream-processor-1",
        "POD_NAMESPACE": "headrace",
        "KUBERNETES_API": "http://127.0.0.1:1",
        "SERVICE_ACCOUNT_DIR": str(tmp_path),
    }
    pod = subprocess.Popen([sys.executable, str(SCRIPT)], env=environment, stderr=subprocess.PIPE)
    assert pod.stderr is not None
    assert b"does not say how many replicas" in pod.stderr.readline()
    pod.send_signal(signal.SIGTERM)
    pod.stderr.read()
    pod.stderr.close()
    assert pod.wait(60) == 0
