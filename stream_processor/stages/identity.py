"""Id, state and times of what is said of a machine: functions of its cause and of nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf.timestamp_pb2 import Timestamp

from stream_processor.frames import EquipmentInfo, Frame
from stream_processor.v1.alert_pb2 import AdvisoryState

# What becomes of a condition, and the state that its advisory has then.
STATES: Mapping[str, AdvisoryState.ValueType] = MappingProxyType(
    {
        "raise": AdvisoryState.ADVISORY_STATE_RAISED,
        "update": AdvisoryState.ADVISORY_STATE_UPDATED,
        "clear": AdvisoryState.ADVISORY_STATE_CLEARED,
    }
)


def advisory_id(rule: str, info: EquipmentInfo, window_start_ms: int, model_version: str) -> str:
    """Return the id of a finding: a function of what caused it and of nothing else."""
    cause = "\n".join((rule, info.site, info.equipment, str(window_start_ms), model_version))
    return hashlib.sha256(cause.encode()).hexdigest()[:32]


def end_ms(frame: Frame) -> int:
    """Return the event time of the last sample of a frame."""
    end = frame.start_time_ms
    for name, samples in frame.samples.items():
        rate = frame.info.channels[name].sample_rate_hz
        end = max(end, frame.start_time_ms + int((samples.size - 1) * 1000.0 / rate))
    return end


def timestamp(time_ms: int) -> Timestamp:
    """Return milliseconds since the epoch as a time stamp."""
    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)
