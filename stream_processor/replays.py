"""What was a dead letter and is in the log again: which, and whether it was taken before.

Its batch was passed long ago, so it is outside of the order of batches. Replaying it twice changes
nothing: the broker drops the second for a while, and what comes after that is known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stream_processor import sparkplug
from stream_processor.births import Births
from stream_processor.messages import Message, Replay, SetAside, set_aside
from stream_processor.sparkplug import BadInputError
from stream_processor.v1 import dead_letter_pb2 as dl

# Of a message: the dead letter that it was. `Nats-Msg-Id` is the replay's own id.
HEADER = "Headrace-Replay"
MESSAGE_ID = "Nats-Msg-Id"
# Replays of an edge node that are known; a snapshot holds them all.
REMEMBERED = 1024


class Replays:
    """The replays of one edge node that were taken, the last of them at the end."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = dict.fromkeys(known)

    def add(self, replay: Replay) -> bool:
        """Remember a replay; return False when it is known."""
        if replay.id in self._known:
            return False
        self._known[replay.id] = None
        while len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return True

    def state(self) -> list[str]:
        """Return the ids that are known."""
        return list(self._known)


def replay_of(headers: Mapping[str, str] | None) -> Replay | None:
    """Return which dead letter a message was by its headers, None of what the plant sent."""
    letter = headers.get(HEADER, "") if headers else ""
    return Replay((headers or {}).get(MESSAGE_ID, "") or letter, letter) if letter else None


def require_news(births: Births, equipment: str, payload: bytes) -> None:
    """Let a birth pass that says something newer than is known of its node or device.

    Raises:
        BadInputError: it cannot be decoded, or a later birth was heard since.
    """
    birth = sparkplug.parse(payload)
    if not equipment:
        found = sparkplug.numbers(birth, sparkplug.number_aliases(birth))
        if births.boot_epoch is not None and found.boot_epoch <= births.boot_epoch:
            raise BadInputError(
                dl.DEAD_LETTER_REASON_TIME_TOO_OLD, "the node was born since: its newer birth holds"
            )
        return
    known = births.of(equipment, births.boot_epoch or 0)
    if known is not None and birth.timestamp <= sparkplug.parse(known.payload).timestamp:
        raise BadInputError(
            dl.DEAD_LETTER_REASON_TIME_TOO_OLD,
            f"{equipment} was born since: its newer birth holds",
        )


def receipt(message: Message, replay: Replay, detail: str) -> SetAside:
    """Return what tells that a replay was taken, on the way that dead letters go."""
    aside = set_aside(message, dl.DEAD_LETTER_REASON_REPLAYED, detail)
    aside.letter.dead_letter_id = replay.id
    aside.letter.ClearField("payload")
    return aside
