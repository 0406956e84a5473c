"""Read what an edge node says of its spool: what is lost, and what is still to come."""

from __future__ import annotations

import numpy as np

from edge_agent.v1.sparkplug_b_pb2 import Metric, Payload
from stream_processor.sequence import MAX_LOST
from stream_processor.sparkplug import BadInputError, numbers
from stream_processor.v1 import dead_letter_pb2 as dl

LOST = "Headrace/Lost"
EARLIER = "Headrace/Earlier Boots"
# Earlier boots that a birth may tell of.
MAX_EARLIER = 128

# First and last numbers, both included.
Ranges = list[tuple[int, int]]


def _wrong_type(detail: str) -> BadInputError:
    return BadInputError(dl.DEAD_LETTER_REASON_WRONG_TYPE, detail)


def _find(payload: Payload, name: str) -> Metric | None:
    return next((m for m in payload.metrics if m.name == name and not m.is_null), None)


def lost_ranges(payload: Payload) -> Ranges:
    """Return the ranges of batches that an NDATA says are lost; of any other there are none.

    Raises:
        BadInputError: they are no pairs of whole numbers.
    """
    metric = _find(payload, LOST)
    if metric is None:
        return []
    content = metric.bytes_value
    if not content or len(content) % 16:
        raise _wrong_type(f"{LOST} has {len(content)} bytes, no pairs of UInt64")
    pairs = np.frombuffer(content, "<u8").reshape(-1, 2)
    return [(int(first), int(last)) for first, last in pairs]


def earlier_boots(payload: Payload) -> dict[int, tuple[int, int]]:
    """Return first and last batch, by boot epoch, that an NBIRTH says are still to come.

    Raises:
        BadInputError: they are no such ranges of boots before its own.
    """
    metric = _find(payload, EARLIER)
    if metric is None:
        return {}
    size = len(metric.bytes_value)
    if size % 24 or size > 24 * MAX_EARLIER:
        raise _wrong_type(f"{EARLIER} has {size} bytes, no {MAX_EARLIER} times three UInt64")
    own = numbers(payload, {}).boot_epoch
    found: dict[int, tuple[int, int]] = {}
    for epoch, first, last in np.frombuffer(metric.bytes_value, "<u8").reshape(-1, 3).tolist():
        if not (0 < epoch < own and 0 < first <= last < first + MAX_LOST):
            raise _wrong_type(f"{EARLIER} has batches {first} to {last} of boot epoch {epoch}")
        found[epoch] = first, last
    return found
