"""What the cloud says to the plant: commands once or never, of the rest the last."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass

from stream_processor.bridge.topics import is_command, state_topic
from stream_processor.mqtt_publisher import state

# Commands that wait while the plant's broker is slow; the processor asks again for what it misses.
MAX_COMMANDS = 1000


@dataclass(frozen=True, slots=True)
class Downward:
    """A message to the plant."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class HostState:
    """What the Sparkplug host said of itself last.

    On the plant's broker the host is online only while the bridge reaches both sides. Its death, as
    the bridge tells it, carries the timestamp of its birth: edge nodes pass over what is older, and
    the birth, told again, is not.
    """

    def __init__(self, host_id: str) -> None:
        self.topic = state_topic(host_id)
        self.online = False
        # Milliseconds since the epoch, by the host's clock.
        self.timestamp = 0
        self._payload = b""

    def take(self, payload: bytes) -> bool:
        """Take what the host said; return False when it cannot be read."""
        try:
            said = json.loads(payload)
            online, timestamp = said["online"], said["timestamp"]
        except (ValueError, RecursionError, KeyError, TypeError):
            return False
        if not isinstance(online, bool) or type(timestamp) is not int or timestamp < 0:
            return False
        self.online, self.timestamp, self._payload = online, timestamp, payload
        return True

    def told(self) -> Downward | None:
        """Return it as the plant is to hear it, None when the host said nothing yet."""
        return Downward(self.topic, self._payload, 1, True) if self._payload else None

    def death(self) -> Downward:
        """Return that the host cannot be reached."""
        return Downward(self.topic, state(False, self.timestamp), 1, True)


class Outbox:
    """What waits for the plant's broker: bounded by the number of edge nodes."""

    def __init__(self) -> None:
        self._kept: dict[str, Downward] = {}
        self._commands: deque[Downward] = deque()

    def put(self, topic: str, payload: bytes, qos: int, retained: bool) -> str:
        """Take a message of the cloud; return why one was dropped, empty when none was.

        A command that the cloud's broker had retained would be executed long after it was given.
        """
        if not is_command(topic):
            self._kept[topic] = Downward(topic, payload, qos, True)
            return ""
        if retained:
            return "retained"
        self._commands.append(Downward(topic, payload, qos, False))
        if len(self._commands) > MAX_COMMANDS:
            self._commands.popleft()
            return "overflowed"
        return ""

    def next(self) -> Downward | None:
        """Return what is to go next and forget it; commands go first."""
        if self._commands:
            return self._commands.popleft()
        if self._kept:
            return self._kept.pop(next(iter(self._kept)))
        return None
