"""Points leave in batches of one site that are not too large."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from stream_processor.sinks import MOST_BATCH_BYTES, batched
from stream_processor.v1.points_pb2 import Points, Waveform


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, MOST_BATCH_BYTES * 3 // 2)), max_size=30
    )
)
def test_points_stay_in_order_within_their_site(made: list[tuple[str, int]]) -> None:
    values = [
        Points(site=site, sent_time_ms=n, waveforms=[Waveform(samples=bytes(size))])
        for n, (site, size) in enumerate(made)
    ]

    batches = list(batched(values))

    left = defaultdict(list)
    for batch in batches:
        (site,) = {p.site for p in batch.points}
        left[site] += batch.points
        sizes = [p.ByteSize() for p in batch.points]
        assert len(sizes) == 1 or sum(sizes) <= MOST_BATCH_BYTES
    assert left == {s: [p for p in values if p.site == s] for s in {p.site for p in values}}
    # No two neighbours of a site would have gone together.
    last: dict[str, int] = {}
    for batch in batches:
        site, size = batch.points[0].site, sum(p.ByteSize() for p in batch.points)
        assert last.get(site, MOST_BATCH_BYTES) + batch.points[0].ByteSize() > MOST_BATCH_BYTES
        last[site] = size
