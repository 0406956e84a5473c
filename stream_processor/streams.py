"""The streams of the log: what they hold, for how long, and how they are made."""

from __future__ import annotations

from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StorageType, StreamConfig, SubjectTransform
from nats.js.errors import NotFoundError

from stream_processor.settings import Settings

TELEMETRY = "TELEMETRY"
POINTS = "POINTS"
DEADLETTER = "DEADLETTER"
# NATS writes the MQTT topic `spBv1.0/…` as the subject `spBv1//0.…`.
ROOT = "spBv1//0"
# Rule files, `rules.{equipment class}`: in the log beside what they judge, so that reading it again
# finds each in its place; what was ever put in force is kept in a stream of its own.
RULES = "rules"
BOOK = "rulebook"
RULEBOOK = "RULEBOOK"
# Versions of a class that are kept there; the log itself forgets by age and size.
RULES_KEPT = 100

_MIB = 1 << 20
_HOUR_S = 3600.0


def partition_of(site: str, edge_node: str, partitions: int) -> int:
    """Return the partition that the server's `partition(N,1,3)` gives an edge node.

    It hashes the two tokens one after the other with 32-bit FNV-1a. Messages of the node itself
    cannot be partitioned by the same transform, so their reader asks here.
    """
    digest = 0x811C9DC5
    for byte in f"{site}{edge_node}".replace(".", "//").encode():
        digest = ((digest ^ byte) * 0x01000193) & 0xFFFFFFFF
    return digest % partitions


def configurations(settings: Settings) -> list[StreamConfig]:
    """Return the streams that the processor needs."""
    partition = f"{{{{partition({settings.partitions},1,3)}}}}"
    rest = "{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}.>"
    return [
        StreamConfig(
            name=TELEMETRY,
            description="Sparkplug messages as they came, machines' by partition of the edge node",
            subjects=[f"{ROOT}.>", f"{RULES}.*"],
            subject_transform=SubjectTransform(
                src=f"{ROOT}.*.*.*.>", dest=f"tele.{partition}.{rest}"
            ),
            storage=StorageType.FILE,
            retention=RetentionPolicy.LIMITS,
            max_age=settings.telemetry_max_age_s,
            max_bytes=settings.telemetry_max_bytes,
        ),
        StreamConfig(
            name=RULEBOOK,
            description="Every rule file that was put in force, and where in the telemetry log",
            subjects=[f"{BOOK}.*"],
            storage=StorageType.FILE,
            retention=RetentionPolicy.LIMITS,
            max_msgs_per_subject=RULES_KEPT,
            max_bytes=256 * _MIB,
        ),
        StreamConfig(
            name=POINTS,
            description="What the historian and the live view read",
            subjects=["points.>"],
            storage=StorageType.FILE,
            retention=RetentionPolicy.LIMITS,
            max_age=2 * _HOUR_S,
            max_bytes=256 * _MIB,
        ),
        StreamConfig(
            name=DEADLETTER,
            description="Messages the flow set aside, with the reason",
            subjects=["deadletter.>"],
            storage=StorageType.FILE,
            retention=RetentionPolicy.LIMITS,
            max_age=30 * 24 * _HOUR_S,
            max_bytes=256 * _MIB,
            duplicate_window=600.0,
        ),
    ]


async def ensure(jetstream: JetStreamContext, settings: Settings) -> None:
    """Make the streams, or bring them to their configuration; what they hold stays.

    Raises:
        nats.js.errors.APIError: the server refuses, such as for want of disk space.
    """
    for wanted in configurations(settings):
        try:
            found = await jetstream.stream_info(str(wanted.name))
        except NotFoundError:
            wanted.num_replicas = settings.stream_replicas
            await jetstream.add_stream(wanted)
        else:
            # How many copies there are is the operator's choice.
            wanted.num_replicas = found.config.num_replicas
            await jetstream.update_stream(wanted)
