"""The primary host as its STATE messages tell of it (Sparkplug 3.0, 5.4 and 5.14)."""

from __future__ import annotations

import asyncio

import msgspec

from edge_agent.sparkplug.payloads import PayloadError


class State(msgspec.Struct, frozen=True):
    """What a host says of itself; `timestamp` is that of its connection, milliseconds."""

    online: bool
    timestamp: int


def read_state(payload: bytes) -> State:
    """Read a STATE message.

    Raises:
        PayloadError: it is not the JSON that the specification asks for.
    """
    try:
        return msgspec.json.decode(payload, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(f"no STATE: {error}") from error


class PrimaryHost:
    """Whether the host is there; one that a node does not wait for always is."""

    def __init__(self, host_id: str) -> None:
        self.host_id = host_id
        # Set while the host is online as this session heard.
        self.online = asyncio.Event()
        self._newest = -1
        self.begin()

    def begin(self) -> None:
        """Forget what an earlier session heard, but for the newest time."""
        self.online.clear()
        if not self.host_id:
            self.online.set()

    def take(self, payload: bytes) -> bool:
        """Take a STATE message; return False when it is older than one before it.

        Raises:
            PayloadError: it cannot be read.
        """
        state = read_state(payload)
        if state.timestamp < self._newest:
            return False
        self._newest = state.timestamp
        if state.online:
            self.online.set()
        else:
            self.online.clear()
        return True
