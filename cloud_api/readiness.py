"""Whether every part of the server runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class Readiness:
    """Asks each part; the server is ready when all say yes and it is not about to end."""

    def __init__(self, parts: Mapping[str, Callable[[], bool]]) -> None:
        self._parts = dict(parts)
        self.draining = False

    def state(self) -> dict[str, bool]:
        """Return whether each part runs, by its name."""
        return {name: runs() for name, runs in self._parts.items()}

    @property
    def ready(self) -> bool:
        """Whether the server should get calls."""
        return not self.draining and all(self.state().values())
