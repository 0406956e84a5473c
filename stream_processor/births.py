"""What an edge node and its devices announced, over its last few boots."""

from __future__ import annotations

from typing import Any, Self

from stream_processor.sparkplug import (
    Birth,
    Numbers,
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
        self.boot_epoch: int | None = None
        # Whether the node numbers its batches; a foreign one does not.
        self.numbered = False
        # Aliases of the batch numbers.
        self.aliases: dict[int, str] = {}
        self._devices: dict[str, dict[int, Birth]] = {}

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
        return found

    def device(self, site: str, edge_node: str, equipment: str, payload: bytes) -> None:
        """Take a DBIRTH.

        Raises:
            BadInputError: it cannot be used.
        """
        birth = read_birth(site, edge_node, equipment, payload)
        self.aliases.update(number_aliases(parse(payload)))
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
        """Return a device's birth in a boot epoch, else its newest, None when there is none."""
        known = self._devices.get(equipment)
        return (known.get(boot_epoch) or known[max(known)]) if known else None

    def state(self) -> dict[str, Any]:
        """Return the births as values of built-in types."""
        return {
            "node": (self.boot_epoch, self.numbered, dict(self.aliases)),
            "devices": {
                equipment: {epoch: birth.payload for epoch, birth in known.items()}
                for equipment, known in self._devices.items()
            },
        }

    @classmethod
    def restore(cls, state: dict[str, Any], site: str, edge_node: str) -> Self:
        """Return the births that `state` wrote."""
        self = cls()
        self.boot_epoch, self.numbered, aliases = state["node"]
        self.aliases = dict(aliases)
        self._devices = {
            equipment: {
                epoch: read_birth(site, edge_node, equipment, payload)
                for epoch, payload in known.items()
            }
            for equipment, known in state["devices"].items()
        }
        return self
