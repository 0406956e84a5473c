from __future__ import annotations

import pytest

from stream_processor.counters import Counters


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
