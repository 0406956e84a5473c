from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.broker import free_port
from stream_processor.counters import Counters
from stream_processor.log_reader import Lag
from stream_processor.meters import Meters
from stream_processor.metrics_server import serve

Get = Callable[[str], str]


@pytest.fixture
def get(tmp_path: Path) -> Iterator[Get]:
    counters, meters = Counters(), Meters(lambda partition: tmp_path / str(partition))
    counters.put("acquisition/a", {"received": 12, "dead_letters.NO_BIRTH": 2})
    counters.position(2, 8)
    for partition in (2, 3):
        meters.expect(partition)
        (tmp_path / str(partition)).mkdir()
        (tmp_path / str(partition) / "part-0.sqlite3").write_bytes(b"state")
    meters.reading(2, lambda now_ms: Lag(40, 1.5))
    meters.step(2, "sum").worked(3, 0.25)
    meters.step(3, "sum").worked(4, 0.5)
    port = free_port()
    server = serve(counters, meters, "127.0.0.1", port)

    def read(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    yield read
    server.shutdown()
    server.server_close()


def test_prometheus_reads_counters_partitions_and_steps(get: Get) -> None:
    found = {
        (sample.name.removeprefix("headrace_stream_processor_"), *sample.labels.values()): (
            sample.value
        )
        for family in text_string_to_metric_families(get("/metrics"))
        for sample in family.samples
    }
    assert found["received_total",] == 12
    assert found["dead_letters_total", "NO_BIRTH"] == 2
    assert found["position", "2"] == 8
    assert (found["partition_held", "2"], found["partition_held", "3"]) == (1, 0)
    assert (found["lag_messages", "2"], found["lag_messages", "3"]) == (40, 0)
    assert found["lag_seconds", "2"] == 1.5
    assert found["state_bytes", "3"] == len(b"state")
    assert (found["step_items_total", "sum"], found["step_seconds_total", "sum"]) == (7, 0.75)
    assert found["process_resident_memory_bytes",] > 0


def test_the_other_doors(get: Get) -> None:
    assert '"received": 12' in get("/counters")
    assert get("/readyz") == "ready\n"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get("/secrets")
