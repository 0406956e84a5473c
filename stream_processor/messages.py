"""What enters the flow and what leaves it beside frames."""

from __future__ import annotations

from dataclasses import dataclass

from stream_processor.rules.rule_file import RuleBook
from stream_processor.v1.dead_letter_pb2 import DeadLetter, DeadLetterReason

NAMESPACE = "spBv1.0"
PARTITIONED = "tele"


@dataclass(frozen=True, slots=True)
class Replay:
    """That a message was the dead letter `letter`; `id` is the same for the same content."""

    id: str
    letter: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the telemetry log.

    `received_ms` is the time at which the log stored it, milliseconds since the epoch, UTC: unlike
    the wall clock it is the same when the message is read again. `rules` are those in force at its
    place in the log; those it brings itself, when it is a rule file. `replay` says which dead
    letter it was, None of what the plant sent.
    """

    subject: str
    payload: bytes
    log_sequence: int
    received_ms: int
    rules: RuleBook | None = None
    replay: Replay | None = None

    @property
    def levels(self) -> list[str]:
        """The levels of the MQTT topic after the namespace: site, type, edge node, equipment.

        The first three are always there: the reader asks for no other subjects.
        """
        tokens = self.subject.split(".")
        return [t.replace("//", ".") for t in tokens[2 if tokens[0] == PARTITIONED else 1 :]]

    @property
    def topic(self) -> str:
        """The MQTT topic it came on."""
        return "/".join([NAMESPACE, *self.levels])

    @property
    def node_key(self) -> str:
        """Name of the edge node's state, `{site}/{edge_node}`."""
        levels = self.levels
        return f"{levels[0]}/{levels[2]}"


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message that could not be used, on its way to the dead letters."""

    site: str
    edge_node: str
    letter: DeadLetter

    @property
    def reason(self) -> str:
        """The reason without its prefix, such as `NO_BIRTH`."""
        return DeadLetterReason.Name(self.letter.reason).removeprefix("DEAD_LETTER_REASON_")

    @property
    def key(self) -> str:
        """What its order is kept by: the edge node."""
        return f"{self.site}/{self.edge_node}"


@dataclass(frozen=True, slots=True)
class Rebirth:
    """Ask an edge node for its births."""

    site: str
    edge_node: str


@dataclass(frozen=True, slots=True)
class Resend:
    """Ask an edge node for the batches `first` to `last` of a boot epoch."""

    site: str
    edge_node: str
    boot_epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Every batch of this boot epoch up to `batch` has left acquisition."""

    site: str
    edge_node: str
    boot_epoch: int
    batch: int


Command = Rebirth | Resend


def set_aside(
    message: Message, reason: DeadLetterReason.ValueType, detail: str, trace_id: str = ""
) -> SetAside:
    """Return the dead letter of a message; its id is a pure function of its place in the log."""
    levels = message.levels
    letter = DeadLetter(
        dead_letter_id=f"telemetry-{message.log_sequence}",
        reason=reason,
        detail=detail,
        topic=message.topic,
        payload=message.payload,
        log_sequence=message.log_sequence,
        trace_id=trace_id,
        replay_of=message.replay.letter if message.replay else "",
    )
    letter.receive_time.FromMilliseconds(message.received_ms)
    return SetAside(levels[0], levels[2], letter)
