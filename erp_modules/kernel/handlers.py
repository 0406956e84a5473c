"""What a module does about others' events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from erp_modules.kernel.context import Context
from erp_modules.kernel.events import Event, EventType

Handle = Callable[[Context, Event], None]


@dataclass(frozen=True)
class Handler:
    """Reacts to one type of event, once for each event, in a unit of work of its own.

    `name` is `{module}.{what it does}` and stays the same for ever: it is half of the key that
    makes a second delivery do nothing.
    """

    name: str
    event: EventType
    handle: Handle

    @property
    def module(self) -> str:
        """Name of the module that handles."""
        return self.name.split(".", 1)[0]
