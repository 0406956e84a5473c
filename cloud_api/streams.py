"""The broker's streams that the server reads."""

from __future__ import annotations

from dataclasses import replace

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

POINTS = "POINTS"
DEAD_LETTERS = "DEADLETTER"
FLEET = "FLEET"

CONFIGURATIONS = (
    StreamConfig(
        name=POINTS,
        description="Points for the historian and the live view",
        subjects=["points.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=2 * 3600,
        max_bytes=256 * 1024**2,
    ),
    StreamConfig(
        name=DEAD_LETTERS,
        description="Messages the flow set aside",
        subjects=["deadletter.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=30 * 24 * 3600,
        max_bytes=256 * 1024**2,
        duplicate_window=600,
    ),
    StreamConfig(
        name=FLEET,
        description="What gateways report of themselves, and what became of commands",
        subjects=["headrace.report.>", "headrace.outcome.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=24 * 3600,
        max_bytes=256 * 1024**2,
    ),
)


async def ensure_streams(jetstream: JetStreamContext, replicas: int = 1) -> None:
    """Make the streams that are missing; one that is there stays as its maker wanted it."""
    for configuration in CONFIGURATIONS:
        assert configuration.name is not None
        try:
            await jetstream.stream_info(configuration.name)
        except NotFoundError:
            try:
                await jetstream.add_stream(replace(configuration, num_replicas=replicas))
            except BadRequestError:
                # Another process made it a moment ago, in its own way.
                await jetstream.stream_info(configuration.name)
