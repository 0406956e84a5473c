"""What the cloud reads of gateways and of the processor."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
from bending import Decoder, bend_message, bend_text
from google.protobuf.message import DecodeError

from cloud_api import fleet_consumer, live, points
from edge_agent.v1.report_pb2 import CommandOutcome, GatewayReport
from erp_modules.fleet import reports
from erp_modules.fleet.v1.fleet_pb2 import IssueEnrolmentTokenRequest
from erp_modules.kernel import transcoding
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.fields import time_of, validate
from erp_modules.maintenance import advisories
from stream_processor.v1.alert_pb2 import Advisory
from stream_processor.v1.points_pb2 import Points, PointsBatch

NOW_MS = 1_767_592_800_000


class RefusedError(Exception):
    """The consumer passed over a message."""


def keep(kind: str, content: bytes) -> None:
    """Read a message as the consumer of the fleet does, up to its tables."""
    now = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    message = SimpleNamespace(
        subject=f"headrace.{kind}.s.n", data=content, metadata=SimpleNamespace(timestamp=now)
    )
    read = fleet_consumer._read(message)  # type: ignore[arg-type]
    if read is None:
        raise RefusedError
    if isinstance(read.message, GatewayReport):
        list(reports._told(read.message, now))
    else:
        time_of(read.message.outcome_time)


def outcome() -> bytes:
    made = CommandOutcome(
        command_id="c", site="s", edge_node="n", device="M-1", number=1.0, reason="r"
    )
    made.outcome_time.FromMilliseconds(NOW_MS)
    return made.SerializeToString()


def report() -> bytes:
    made = GatewayReport(site="s", edge_node="n", boot_epoch=5, agent_version="1")
    made.models.add(equipment_class="fan", version="1", state=1)
    made.configurations.add(name="basic", version="2", state=1)
    return made.SerializeToString()


def advisory() -> bytes:
    made = Advisory(advisory_id="a", revision=1, state=1, severity=2, site="s", equipment="M-1")
    made.window_end_time.FromMilliseconds(NOW_MS)
    return made.SerializeToString()


def take_advisory(content: bytes) -> None:
    """Read an advisory as the gRPC door does, up to its tables."""
    read = Advisory.FromString(content)
    validate(read)
    advisories.check(read)
    time_of(read.window_end_time)


def some_points() -> bytes:
    made = Points(site="s", equipment="M-1", sent_time_ms=NOW_MS)
    made.aggregates.add(
        channel="Speed", unit="1/min", time_ms=[NOW_MS], mean=[1.0], minimum=[0.5], maximum=[2.0],
        count=[3],
    )  # fmt: skip
    made.series.add(name="Score", unit="1", time_ms=[NOW_MS], value=[0.1])
    made.waveforms.add(
        waveform_id="w", channel="Vibration", start_time_ms=NOW_MS, sample_rate_hz=100.0,
        samples=np.ones(4, "<f4").tobytes(),
    )  # fmt: skip
    return PointsBatch(points=[made]).SerializeToString()


def take_points(content: bytes) -> None:
    for read in points.unpack("points.s", content):
        points.check(read)
        points.blocks(read)
        points.waveforms(read)
        json.dumps(points.live_message(read), allow_nan=False)


DECODERS = (
    Decoder(
        "cloud: outcome",
        lambda content: keep("outcome", content),
        (outcome(),),
        (RefusedError,),
        bend_message(CommandOutcome),
    ),
    Decoder(
        "cloud: report",
        lambda content: keep("report", content),
        (report(),),
        (RefusedError,),
        bend_message(GatewayReport),
    ),
    Decoder(
        "cloud: advisory",
        take_advisory,
        (advisory(),),
        (DecodeError, InvalidArgument),
        bend_message(Advisory),
    ),
    Decoder(
        "cloud: request",
        lambda content: transcoding._read_body(IssueEnrolmentTokenRequest(), "*", content),
        (b'{"site": "s", "edgeNode": "n", "lifetime": "3600s"}',),
        (InvalidArgument,),
        bend_text,
    ),
    Decoder(
        "cloud: live",
        lambda content: live.Subscription.parse(content.decode("utf-8", "replace")),
        (b'{"subscribe": {"site": "s", "equipment": ["M-1"]}}',),
        (live.SubscriptionError,),
        bend_text,
    ),
    Decoder(
        "cloud: points",
        take_points,
        (some_points(),),
        (points.PointsError,),
        bend_message(PointsBatch),
    ),
)
