"""What a dead letter is on the stream DEADLETTER."""

from __future__ import annotations

from stream_processor.jetstream_publisher import Outgoing
from stream_processor.messages import SetAside


def dead_letter_message(aside: SetAside) -> Outgoing:
    """Return what goes to the stream DEADLETTER; tokens the topic did not have are `_`."""

    def token(text: str) -> str:
        return "".join("_" if c in ".*> \t\r\n" else c for c in text) or "_"

    subject = f"deadletter.{aside.reason}.{token(aside.site)}.{token(aside.edge_node)}".lower()
    return Outgoing(subject, aside.letter.SerializeToString(), aside.letter.dead_letter_id)
