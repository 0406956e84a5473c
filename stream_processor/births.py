"""What an edge node and its devices announced, over its last few boots."""

from __future__ import annotations

from typing import Any, Self

from stream_processor.sparkplug import (
    Birth,
    Numbers,
    bd_seq,
    number_aliases,
    numbers,
    parse,
    read_birth,
)

# A spool is read by the aliases it was written with.
REMEMBERED_BOOTS = 3


class Births:
    """The births of one edge node."""

    def __init__(self) -> None:
        self._site = self._edge_node = ""
        self.boot_epoch: int | None = None
        # Whether the node numbers its batches; a foreign one does not.
        self.numbered = False
        # Aliases of the batch numbers.
        self.aliases: dict[int, str] = {}
        # By boot epoch; a payload until it is asked for. After a start few of them are at once.
        self._devices: dict[str, dict[int, Birth | bytes]] = {}
        # Number of the session, and since when node and devices are away: then all that they
        # said is stale. Milliseconds since the epoch, UTC.
        self.bd_seq: int | None = None
        self.away_since_ms: int | None = None
        self._devices_away: dict[str, int] = {}

    def node(self, payload: bytes) -> Numbers:
        """Take an NBIRTH and return its numbers; the last one heard holds.

        Raises:
            BadInputError: it cannot be used.
        """
        message = parse(payload)
        aliases = number_aliases(message)
        found = numbers(message, aliases)
        self.boot_epoch, self.numbered = found.boot_epoch, found.epoch is not None
        self.aliases.update(aliases)
        self.bd_seq, self.away_since_ms = bd_seq(message), None
        self._devices_away.clear()
        return found

    def node_death(self, payload: bytes, received_ms: int) -> bool:
        """Take an NDEATH; return False when it is the late will of an earlier session.

        Raises:
            BadInputError: it cannot be used.
        """
        number = bd_seq(parse(payload))
        if self.bd_seq is not None and number is not None and number != self.bd_seq:
            return False
        self.away_since_ms = received_ms
        return True

    def device_death(self, equipment: str, died_ms: int) -> None:
        """Take a DDEATH with its own time; the birth stays, to read what is still to come."""
        self._devices_away[equipment] = died_ms

    def stale_since_ms(self, equipment: str) -> int | None:
        """Return since when a device is offline and its metrics stale; None when it is not.

        Its node's death is its own.
        """
        times = [self.away_since_ms, self._devices_away.get(equipment)]
        return min((t for t in times if t is not None), default=None)

    def device(self, site: str, edge_node: str, equipment: str, payload: bytes) -> None:
        """Take a DBIRTH.

        Raises:
            BadInputError: it cannot be used.
        """
        birth = read_birth(site, edge_node, equipment, payload)
        self.aliases.update(number_aliases(parse(payload)))
        self._devices_away.pop(equipment, None)
        known = self._devices.setdefault(equipment, {})
        known[self.boot_epoch or 0] = birth
        while len(known) > REMEMBERED_BOOTS:
            del known[min(known)]

    def announced(self, found: Numbers) -> bool:
        """Return whether the node was born in the boot epoch of these numbers, or since."""
        if found.batch is None:
            return True
        return self.boot_epoch is not None and found.boot_epoch <= self.boot_epoch

    def of(self, equipment: str, boot_epoch: int) -> Birth | None:
        """Return a device's birth in a boot epoch, else its newest, None when there is none.

        Raises:
            BadInputError: it is from before a restart, and this code does not read it.
        """
        known = self._devices.get(equipment)
        if not known:
            return None
        epoch = boot_epoch if boot_epoch in known else max(known)
        birth = known[epoch]
        if isinstance(birth, bytes):
            birth = known[epoch] = read_birth(self._site, self._edge_node, equipment, birth)
        return birth

    def state(self) -> dict[str, Any]:
        """Return the births as values of built-in types."""
        return {
            "node": (self.boot_epoch, self.numbered, dict(self.aliases)),
            "away": (self.bd_seq, self.away_since_ms, dict(self._devices_away)),
            "devices": {
                equipment: {
                    epoch: birth if isinstance(birth, bytes) else birth.payload
                    for epoch, birth in known.items()
                }
                for equipment, known in self._devices.items()
            },
        }

    @classmethod
    def restore(cls, state: dict[str, Any], site: str, edge_node: str) -> Self:
        """Return the births that `state` wrote."""
        self = cls()
        self._site, self._edge_node = site, edge_node
        self.boot_epoch, self.numbered, aliases = state["node"]
        self.aliases = dict(aliases)
        self.bd_seq, self.away_since_ms, away = state["away"]
        self._devices_away = dict(away)
        self._devices = {equipment: dict(known) for equipment, known in state["devices"].items()}
        return self
