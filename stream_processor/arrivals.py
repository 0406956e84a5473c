"""A batch between its arrival and its turn, and how it is written into a snapshot."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

from stream_processor.messages import Message
from stream_processor.sparkplug import Birth, Numbers, read_birth

# Subject, payload, log sequence, time received, boot epoch, batch, kind, equipment, the birth's
# payload.
Plain = tuple[str, bytes, int, int, int | None, int | None, str, str, bytes | None]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A batch with the birth it came under; `birth` is None when there was none."""

    message: Message
    numbers: Numbers
    kind: str
    equipment: str
    birth: Birth | None

    def plain(self) -> Plain:
        """Return it as values of built-in types."""
        message = self.message
        return (
            message.subject,
            message.payload,
            message.log_sequence,
            message.received_ms,
            self.numbers.epoch,
            self.numbers.batch,
            self.kind,
            self.equipment,
            self.birth.payload if self.birth else None,
        )

    @classmethod
    def from_plain(cls, plain: Plain, site: str, edge_node: str) -> Self:
        """Return what `plain` wrote."""
        subject, payload, log_sequence, received_ms, epoch, batch, kind, equipment, birth = plain
        return cls(
            Message(subject, payload, log_sequence, received_ms),
            Numbers(epoch, batch),
            kind,
            equipment,
            None if birth is None else read_birth(site, edge_node, equipment, birth),
        )

    @property
    def trace_id(self) -> str:
        """The id that follows a batch through the logs, 32 hexadecimal digits.

        A pure function of the batch, so that a resend has the same.
        """
        site, _, edge_node = self.message.levels[:3]
        which = (
            f"{self.numbers.boot_epoch}/{self.numbers.batch}"
            if self.numbers.batch is not None
            else f"log/{self.message.log_sequence}"
        )
        text = f"{site}/{edge_node}/{which}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch without a birth. `sequenced` when its turn has come, only the birth has not."""

    arrived: Arrived
    deadline: float
    sequenced: bool
