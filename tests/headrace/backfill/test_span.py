from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.backfill.span import Held, SpanError, span, warm_up_s
from stream_processor.rules.rule_file import SHIPPED, read, rule_file

HELD = Held(10, 5, 14, 1_000_000, 2_000_000)


def test_the_warm_up_begins_before_the_range_and_may_be_short() -> None:
    found = span(HELD, 1_500_000, 3_000_000, 100.0)
    assert (found.start_ms, found.since_ms, found.until_ms) == (1_400_000, 1_500_000, 2_000_001)
    assert found.short_ms == 0
    assert span(HELD, 1_500_000, 3_000_000, 600.0).short_ms == 100_000
    # A log that forgot nothing holds all there was.
    whole = Held(14, 1, 14, 1_000_000, 2_000_000)
    assert span(whole, 0, 3_000_000, 600.0).short_ms == 0


@pytest.mark.parametrize(
    ("since_ms", "until_ms", "why"),
    [
        (999_999, 3_000_000, "1970-01-01T00:16:40Z to 1970-01-01T00:33:20Z"),
        (2_000_001, 3_000_000, "nothing was stored"),
        (0, 1_000_000, "nothing was stored"),
        (5, 5, "not before"),
    ],
)
def test_a_range_beyond_the_log_is_refused(since_ms: int, until_ms: int, why: str) -> None:
    with pytest.raises(SpanError, match=why):
        span(HELD, since_ms, until_ms, 0.0)


def test_the_warm_up_is_as_long_as_the_rules_look_back(file: Callable[..., str]) -> None:
    assert warm_up_s([rule_file(file())]) == 600.0
    # Its mean is over an hour, judged while it runs for a minute, with delays of 30 and 60 s.
    assert warm_up_s([read(Path(SHIPPED) / "centrifugal_pump.toml")]) == 3600 + 60 + 30 + 60
    asks = (
        file().replace('"threshold"', '"model_score"').replace('watch = "Heat"', 'score = "edge"')
    )
    assert warm_up_s([rule_file(asks)]) == 86_400.0
