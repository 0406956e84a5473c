"""The version of a state in a snapshot, and how a state of an older one is brought to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

State = dict[str, Any]


class StateError(ValueError):
    """A state that this code cannot take over; it is never forgotten silently."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The version of what `name` writes into snapshots, as `"schema"` of its state.

    `steps[v]` is a pure function from a state of version `v` to one of version `v + 1`, which
    changes nothing of what it was given. What is older than the first step is not read any more.

    >>> counts = Schema("counts", 2, {1: lambda state: {**state, "lost": 0}})
    >>> counts.current({"schema": 1, "taken": 3})
    {'schema': 2, 'taken': 3, 'lost': 0}
    """

    name: str
    version: int = 1
    steps: Mapping[int, Callable[[State], State]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the steps lead to the version.

        Raises:
            ValueError: one is missing or leads past it.
        """
        if sorted(self.steps) != list(range(self.oldest, self.version)):
            raise ValueError(
                f"the state of {self.name} has schema {self.version}, and steps from"
                f" {sorted(self.steps)}: each of the last versions needs one"
            )

    @property
    def oldest(self) -> int:
        """The oldest version that is read."""
        return self.version - len(self.steps)

    def current(self, state: State) -> State:
        """Return `state` in this version; what it was is left as it was.

        Raises:
            StateError: it is of newer code, or too old.
        """
        found = state.get("schema")
        if not isinstance(found, int):
            raise StateError(f"the state of {self.name} says no schema")
        if found > self.version:
            raise StateError(
                f"the state of {self.name} has schema {found}, this code knows {self.version}:"
                " run the version that wrote it, or a newer one"
            )
        if found < self.oldest:
            raise StateError(
                f"the state of {self.name} has schema {found}, this code reads {self.oldest} to"
                f" {self.version}: run a version in between first"
            )
        for version in range(found, self.version):
            state = {**self.steps[version](state), "schema": version + 1}
        return state
