"""Read what NCMD and DCMD ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from google.protobuf.message import DecodeError

from edge_agent.sparkplug import metrics
from edge_agent.sparkplug.payloads import REBIRTH, RESEND, PayloadError
from edge_agent.v1 import sparkplug_b_pb2 as pb

COMMAND_ID: Final = "Headrace/Command Id"
REQUESTED_BY: Final = "Headrace/Requested By"
CONFIRMED_BY: Final = "Headrace/Confirmed By"
# Of an id, and of the names of people.
MAX_TEXT: Final = 200

Scalar = float | bool | str


@dataclass(frozen=True, slots=True)
class Command:
    """What a message asks for.

    `rebirth` and `resend` (boot epoch, first and last batch) are the session's. `values` are names
    of metrics with what they are to be; a rebirth that has an id is among them, to be answered.
    `time_ms` is when it was sent, 0 when it does not say.
    """

    rebirth: bool = False
    resend: tuple[int, int, int] | None = None
    values: tuple[tuple[str, Scalar], ...] = ()
    id: str = ""
    requested_by: str = ""
    confirmed_by: str = ""
    time_ms: int = 0


def read_command(payload: bytes, aliases: Mapping[int, str] | None = None) -> Command:
    """Read an NCMD or DCMD; `aliases` are those of the birth it answers.

    Raises:
        PayloadError: it cannot be decoded, or a metric has no name or no value that it may have.
    """
    try:
        message = pb.Payload.FromString(payload)
    except DecodeError as error:
        raise PayloadError(f"not a Sparkplug payload: {error}") from error
    rebirth, resend = False, None
    values: list[tuple[str, Scalar]] = []
    texts = {COMMAND_ID: "", REQUESTED_BY: "", CONFIRMED_BY: ""}
    for metric in message.metrics:
        name = metric.name or (aliases or {}).get(metric.alias, "")
        if not name:
            raise PayloadError(f"a metric of alias {metric.alias}, which the birth does not have")
        if name == REBIRTH:
            rebirth = metric.boolean_value
        elif name == RESEND:
            resend = _resend(metric)
        elif name in texts:
            texts[name] = _text(metric, name)
        else:
            values.append((name, _scalar(metric, name)))
    if rebirth and texts[COMMAND_ID]:
        values.append((REBIRTH, True))
    return Command(
        rebirth,
        resend,
        tuple(values),
        texts[COMMAND_ID],
        texts[REQUESTED_BY],
        texts[CONFIRMED_BY],
        message.timestamp,
    )


def _resend(metric: pb.Metric) -> tuple[int, int, int]:
    if len(metric.bytes_value) % 8:
        raise PayloadError(f"{RESEND}: {len(metric.bytes_value)} bytes are no UInt64Array")
    numbers = np.frombuffer(metric.bytes_value, "<u8")
    if len(numbers) != 3:
        raise PayloadError(f"{RESEND}: {len(numbers)} numbers, not epoch, first and last")
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _text(metric: pb.Metric, name: str) -> str:
    if metric.WhichOneof("value") != "string_value" or len(metric.string_value) > MAX_TEXT:
        raise PayloadError(f"{name}: no text of at most {MAX_TEXT} characters")
    return metric.string_value


def _scalar(metric: pb.Metric, name: str) -> Scalar:
    """Return a value to write; a channel, whose metric is an array, takes an array of one."""
    kind = metric.WhichOneof("value")
    try:
        if metric.HasField("datatype"):
            value = metrics.decode(metric)
        elif kind == "bytes_value":
            value = metrics.decode(metric, pb.DATA_TYPE_FLOAT_ARRAY)
        else:
            value = getattr(metric, kind) if kind else None
    except metrics.MetricError as error:
        raise PayloadError(f"{name}: {error}") from error
    if isinstance(value, np.ndarray) and len(value) == 1:
        value = value[0].item()
    if not isinstance(value, float | int | str):
        raise PayloadError(f"{name}: no single value")
    return value
