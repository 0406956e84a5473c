from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import pytest

from headrace.broker import free_port
from stream_processor.counters import Counters, serve


@pytest.fixture
def counters() -> Counters:
    made = Counters()
    made.put("acquisition/a", {"received": 9, "processed": 5, "dead_letters.NO_BIRTH": 1})
    made.put("acquisition/b", {"received": 3, "processed": 3, "dead_letters.NO_BIRTH": 1})
    made.put("sum/e", {"dead_letters.STAGE_FAILED": 1})
    made.position(10, 7)
    made.position(2, 8)
    return made


def test_parts_are_summed_and_a_part_that_speaks_again_is_replaced(counters: Counters) -> None:
    counters.put("acquisition/b", {"received": 4, "processed": 4})
    totals = counters.totals()
    assert totals["received"] == 13
    assert totals["processed"] == 8, "less what failed in a stage"
    assert totals["dead_letters"] == {"NO_BIRTH": 1, "STAGE_FAILED": 1}
    assert list(totals["position"].items()) == [("2", 8), ("10", 7)]


def test_both_doors_say_the_same(counters: Counters) -> None:
    port = free_port()
    server = serve(counters, "127.0.0.1", port)

    def get(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.read().decode()

    try:
        text = get("/metrics").splitlines()
        assert "headrace_stream_processor_received_total 12" in text
        assert 'headrace_stream_processor_dead_letters_total{reason="NO_BIRTH"} 2' in text
        assert 'headrace_stream_processor_position{partition="2"} 8' in text
        assert '"received": 12' in get("/counters")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get("/secrets")
    finally:
        server.shutdown()
        server.server_close()
