"""Judge the times of a block against the log, the sender and the block before."""

from __future__ import annotations

from stream_processor.sparkplug import BadInputError
from stream_processor.v1 import dead_letter_pb2 as dl

CLOCK_TOLERANCE_MS = 60_000
MAX_AGE_MS = 24 * 3_600_000
# Between two blocks of a simulation or a replay, whose clocks may leap.
MAX_LEAP_MS = 2 * 366 * 24 * 3_600_000
# The end of the year 9999, the last that a protobuf timestamp holds.
MAX_TIME_MS = 253_402_300_799_000


def check_times(
    start_ms: int, sent_ms: int, received_ms: int, last_ms: int | None, live: bool
) -> None:
    """Check that a block's times are plausible; all in milliseconds since the epoch, UTC.

    `start_ms` is the event time of the first sample, `last_ms` the newest event time to compare
    with, `live` whether event time is wall time. A block that begins before another is late, not
    implausible.

    Raises:
        BadInputError: it lies in the future or too far in the past.
    """
    future, old = dl.DEAD_LETTER_REASON_TIME_IN_FUTURE, dl.DEAD_LETTER_REASON_TIME_TOO_OLD
    if sent_ms > received_ms + CLOCK_TOLERANCE_MS:
        raise BadInputError(future, f"sent {sent_ms - received_ms} ms after it was received")
    if live and start_ms > sent_ms + CLOCK_TOLERANCE_MS:
        raise BadInputError(future, f"its samples lie {start_ms - sent_ms} ms after it was sent")
    if live and start_ms < sent_ms - MAX_AGE_MS:
        raise BadInputError(old, f"its samples lie {sent_ms - start_ms} ms before it was sent")
    if start_ms <= 0:
        raise BadInputError(old, "it has no event time")
    if start_ms > MAX_TIME_MS:
        raise BadInputError(future, f"its samples lie {start_ms} ms after 1970")
    if last_ms is not None and start_ms > last_ms + MAX_LEAP_MS:
        raise BadInputError(
            future, f"its samples lie {start_ms - last_ms} ms after the newest before it"
        )
