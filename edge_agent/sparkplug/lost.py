"""Say which batches the agent no longer has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_agent.sparkplug.payloads import BATCH, BOOT_EPOCH, LOST
from edge_agent.v1 import sparkplug_b_pb2 as pb


def node_lost(now_ms: int, boot_epoch: int, ranges: Sequence[tuple[int, int]]) -> pb.Payload:
    """Return the NDATA that stands for batches of a boot epoch that the agent no longer has.

    `ranges` are first and last numbers, in order; it goes under the first of them.
    """
    payload = pb.Payload(timestamp=now_ms)
    for name, value in ((BOOT_EPOCH, boot_epoch), (BATCH, ranges[0][0])):
        payload.metrics.add(name=name, timestamp=now_ms, long_value=value)
    payload.metrics.add(name=LOST, timestamp=now_ms, bytes_value=np.array(ranges, "<u8").tobytes())
    for metric in payload.metrics:
        metric.is_historical = True
    return payload
