"""One condition of one machine in event time: when it becomes an alarm and when it is over.

Terms as in ISA-18.2: on-delay, off-delay, deadband. Other than `stages/episode.py`, which judges by
so many measurements, delays here are what their author wrote: seconds of event time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Transition = Literal["none", "raise", "update", "clear"]


@dataclass
class Condition:
    """The state of a condition.

    `since_ms` is since when it has been over its limit while it is not raised, since when it has
    been back while it is; None when it is not. `told` says whether the finding went out, which it
    does not from a rule in shadow.
    """

    raised: bool = False
    told: bool = False
    since_ms: int | None = None
    window_start_ms: int = 0
    revision: int = 0
    advisory_id: str = ""
    channel: str = ""

    def step(
        self, over: bool | None, back: bool | None, time_ms: int, on_ms: int, off_ms: int
    ) -> Transition:
        """Take an observation and return what became of the condition.

        `over` says whether the value is beyond the limit at which the alarm begins, `back` whether
        it is back behind that at which it ends. What is not known (None) changes nothing.
        """
        holds = back if self.raised else over
        if holds is None:
            return "none"
        if not holds:
            self.since_ms = None
            return "none"
        # A clock that was set back does not shorten a delay.
        since = time_ms if self.since_ms is None else min(self.since_ms, time_ms)
        self.since_ms = since
        if time_ms - since < (off_ms if self.raised else on_ms):
            return "none"
        self.since_ms = None
        self.raised = not self.raised
        if self.raised:
            self.window_start_ms = since
            return "raise"
        return "clear"

    def wait(self) -> None:
        """Forget how long it has been so: the machine is not in the mode that is judged."""
        self.since_ms = None

    def state(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the condition in `state`."""
        return cls(**state)
