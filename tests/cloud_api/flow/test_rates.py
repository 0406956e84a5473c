from __future__ import annotations

from typing import Any

import pytest

from cloud_api.flow.rates import changes


def test_a_rate_is_of_the_last_five_seconds(say: Any) -> None:
    words = [say(uptime_s=100.0 + s, items=s * s, seconds=0.1 * s) for s in range(11)]
    rate = changes(words).rates[0, "telemetry"]
    assert rate.items_per_second == (100 - 25) / 5
    assert rate.busy_share == pytest.approx(0.1)


def test_what_was_said_once_gives_no_rate(say: Any) -> None:
    once = changes([say(items=100)])
    assert (once.rates, once.busy_share(0)) == ({}, None)
    assert changes([say(items=100), say(uptime_s=100.1, items=101)]).rates == {}


def test_a_partition_that_was_taken_since_counts_from_nothing(say: Any) -> None:
    found = changes([say(of=1, held=False), say(uptime_s=102.0, of=0, items=30)])
    assert found.rates[0, "telemetry"].items_per_second == 15.0
    assert found.lag_changes == {}


def test_the_steps_of_a_partition_take_turns(say: Any) -> None:
    found = changes([say(), say(uptime_s=102.0, items=1, seconds=0.8)])
    assert found.busy_share(0) == pytest.approx(0.6)
    assert found.busy_share(1) is None
    over = changes([say(), say(uptime_s=102.0, seconds=1.9)])
    assert over.busy_share(0) == 1.0


def test_lag_is_compared_with_half_a_minute_ago(say: Any) -> None:
    words = [say(uptime_s=100.0 + s, lag=40 + s) for s in range(30)]
    assert changes(words).lag_changes == {0: 29}
    assert changes(words[:1]).lag_changes == {0: 0}
