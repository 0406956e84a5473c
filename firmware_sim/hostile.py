"""Traffic that must neither stop nor corrupt the flow: topics and payloads, made on purpose.

Each function returns one MQTT message as `(topic, payload)`, made for a `Victim`: a device that was
born, and the place its next batch would have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload

Message = tuple[str, bytes]

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Victim:
    """A device, one of its channels, and the place of a batch in its node's sequence.

    `channel_alias`, `epoch_alias` and `batch_alias` are those of the births; None sends the name
    instead. Times are milliseconds since the epoch.
    """

    site: str
    edge_node: str
    equipment: str
    channel: str
    boot_epoch: int
    batch: int
    sent_ms: int
    event_ms: int
    seq: int = 1
    channel_alias: int | None = None
    epoch_alias: int | None = None
    batch_alias: int | None = None

    @property
    def topic(self) -> str:
        """The topic of the device's data."""
        return f"spBv1.0/{self.site}/DDATA/{self.edge_node}/{self.equipment}"

    def next(self) -> Victim:
        """Return the place after this one."""
        return replace(self, batch=self.batch + 1, seq=(self.seq + 1) % 256)


def batch(victim: Victim, samples: Sequence[float] = (1.0, 2.0, 3.0)) -> Message:
    """Return a good batch with `samples` of the victim's channel."""
    payload = _envelope(victim)
    _channel(payload, victim, samples)
    return victim.topic, payload.SerializeToString()


def undecodable(victim: Victim) -> Message:
    """Return bytes that are no protobuf message: a field of length 127 that ends at once."""
    return victim.topic, b"\x12\x7f\xff\xff not a payload"


def truncated(victim: Victim) -> Message:
    """Return a good batch without its last bytes."""
    topic, payload = batch(victim, [0.0] * 32)
    return topic, payload[:-7]


def empty(victim: Victim) -> Message:
    """Return no bytes at all: a payload without a timestamp, a sequence or a metric."""
    return victim.topic, b""


def unknown_topic(victim: Victim) -> Message:
    """Return a good batch under a message type that Sparkplug does not have."""
    topic, payload = batch(victim)
    return topic.replace("/DDATA/", "/DGOSSIP/"), payload


def unknown_alias(victim: Victim) -> Message:
    """Return a batch with a metric whose alias no birth declared."""
    payload = _envelope(victim)
    metric = _channel(payload, victim, (1.0, 2.0))
    metric.ClearField("name")
    metric.alias = 2**40
    return victim.topic, payload.SerializeToString()


def unknown_name(victim: Victim) -> Message:
    """Return a batch with a metric whose name no birth declared."""
    payload = _envelope(victim)
    metric = _channel(payload, victim, (1.0, 2.0))
    metric.ClearField("alias")
    metric.name = "Never Declared"
    return victim.topic, payload.SerializeToString()


def wrong_datatype(victim: Victim) -> Message:
    """Return a batch in which the channel is a text."""
    payload = _envelope(victim)
    metric = _channel(payload, victim, ())
    metric.datatype = DataType.DATA_TYPE_STRING
    metric.string_value = "warm"
    return victim.topic, payload.SerializeToString()


def ragged_array(victim: Victim) -> Message:
    """Return a batch whose array of floats is not a whole number of floats long."""
    payload = _envelope(victim)
    metric = _channel(payload, victim, (1.0, 2.0))
    metric.bytes_value = metric.bytes_value[:-1]
    return victim.topic, payload.SerializeToString()


def not_numbers(victim: Victim, count: int = 60) -> Message:
    """Return a batch of NaN only: lawful, all samples are missing."""
    return batch(victim, [math.nan] * count)


def infinities(victim: Victim, count: int = 60) -> Message:
    """Return a batch in which infinities of both signs stand between good samples."""
    cycle = (math.inf, 1.0, -math.inf, 1.0)
    return batch(victim, [cycle[i % 4] for i in range(count)])


def huge(victim: Victim, count: int = 60) -> Message:
    """Return a batch at the largest float: its squares overflow."""
    return batch(victim, [float(np.finfo(np.float32).max)] * count)


def far_future(victim: Victim, days: float = 3650.0) -> Message:
    """Return a batch whose event time is `days` ahead."""
    return batch(replace(victim, event_ms=victim.event_ms + round(days * DAY_MS)))


def far_past(victim: Victim) -> Message:
    """Return a batch of the first millisecond of 1970."""
    return batch(replace(victim, event_ms=1))


def no_times(victim: Victim) -> Message:
    """Return a batch that says neither when it was sent nor when its samples were taken."""
    payload = _envelope(victim)
    _channel(payload, victim, (1.0, 2.0))
    payload.ClearField("timestamp")
    for metric in payload.metrics:
        metric.ClearField("timestamp")
    return victim.topic, payload.SerializeToString()


def no_batch_number(victim: Victim) -> Message:
    """Return data without boot epoch and batch."""
    payload = Payload(timestamp=victim.sent_ms, seq=victim.seq)
    _channel(payload, victim, (1.0, 2.0))
    return victim.topic, payload.SerializeToString()


def never_born(victim: Victim, equipment: str = "X-999") -> Message:
    """Return a good batch of a device that sent no birth."""
    return batch(replace(victim, equipment=equipment))


def duplicates(victim: Victim, times: int = 3) -> list[Message]:
    """Return the same batch several times."""
    return [batch(victim)] * times


def out_of_order(victim: Victim, count: int = 4, interval_ms: int = 1000) -> list[Message]:
    """Return `count` batches that follow each other, each pair of them swapped."""
    messages = []
    for place in range(count):
        messages.append(batch(victim))
        later = replace(victim.next(), event_ms=victim.event_ms + interval_ms)
        victim = replace(later, sent_ms=victim.sent_ms + interval_ms)
        if place % 2:
            messages[-2:] = messages[-1], messages[-2]
    return messages


def every(victim: Victim) -> dict[str, Message]:
    """Return one message of each bad kind, by the kind.

    Those that carry a batch number one can read take consecutive places from the victim's on; the
    others leave no gap behind.
    """
    unplaced = (undecodable, truncated, empty, unknown_topic, no_batch_number)
    messages = {kind.__name__: kind(victim) for kind in unplaced}
    for kind in (
        unknown_alias,
        unknown_name,
        wrong_datatype,
        ragged_array,
        not_numbers,
        infinities,
        huge,
        far_future,
        far_past,
        no_times,
        never_born,
    ):
        messages[kind.__name__] = kind(victim)
        victim = victim.next()
    return messages


def _envelope(victim: Victim) -> Payload:
    payload = Payload(timestamp=victim.sent_ms, seq=victim.seq)
    for name, alias, value in (
        ("Headrace/Boot Epoch", victim.epoch_alias, victim.boot_epoch),
        ("Headrace/Batch", victim.batch_alias, victim.batch),
    ):
        metric = payload.metrics.add(
            timestamp=victim.sent_ms, datatype=DataType.DATA_TYPE_UINT64, long_value=value
        )
        _identify(metric, name, alias)
    return payload


def _channel(payload: Payload, victim: Victim, samples: Sequence[float]) -> Metric:
    metric = payload.metrics.add(
        timestamp=victim.event_ms,
        datatype=DataType.DATA_TYPE_FLOAT_ARRAY,
        bytes_value=np.asarray(samples, dtype="<f4").tobytes(),
    )
    _identify(metric, victim.channel, victim.channel_alias)
    return metric


def _identify(metric: Metric, name: str, alias: int | None) -> None:
    if alias is None:
        metric.name = name
    else:
        metric.alias = alias
