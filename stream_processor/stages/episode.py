"""One condition of one machine over time: when it becomes an alarm and when it is over.

Terms as in ISA-18.2: on-delay, off-delay, deadband. They count frames, not seconds: a machine that
is measured each second and one that is measured each hour are judged by as many measurements.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from stream_processor.v1.alert_pb2 import FailureMode, Severity

# Frames in a row above the limit before a condition is raised, and the most that are waited for
# when its cause is not yet clear.
ON_DELAY = 3
LONGEST_ON_DELAY = 15
# Frames in a row below the deadband before it is cleared.
OFF_DELAY = 120
SHORT_OFF_DELAY = 30
DEADBAND = 0.7
# Frames between two revisions, and for which a new cause must hold before it is told.
UPDATE_INTERVAL = 15
CAUSE_DELAY = 10

Transition = Literal["none", "raise", "update", "clear"]


@dataclass
class Episode:
    """The state of one condition; `severity` and `mode` are what was last said of it."""

    raised: bool = False
    over: int = 0
    under: int = 0
    since_update: int = 0
    revision: int = 0
    severity: Severity.ValueType = Severity.SEVERITY_UNSPECIFIED
    mode: FailureMode.ValueType = FailureMode.FAILURE_MODE_UNSPECIFIED
    other_mode: FailureMode.ValueType = FailureMode.FAILURE_MODE_UNSPECIFIED
    other_for: int = 0
    window_start_ms: int = 0
    advisory_id: str = ""
    channel: str = ""

    def step(
        self,
        ratio: float,
        severity: Severity.ValueType,
        mode: FailureMode.ValueType,
        certain: bool,
        time_ms: int,
        at_once: bool = False,
    ) -> Transition:
        """Take a frame and return what there is to say.

        `ratio` is the evidence over its limit, `severity` and `mode` what the frame suggests,
        `certain` whether the cause is clear enough to be told. What is raised `at_once` is so rare
        that there is nothing to wait for, and it is over the sooner.
        """
        if not self.raised:
            if ratio < 1.0:
                self.over = 0
                return "none"
            if self.over == 0:
                self.window_start_ms = time_ms
            self.over += 1
            early = self.over < ON_DELAY or (not certain and self.over < LONGEST_ON_DELAY)
            if early and not at_once:
                return "none"
            self.raised, self.under, self.since_update, self.revision = True, 0, 0, 1
            self.severity, self.mode, self.other_for = severity, mode, 0
            return "raise"
        self.under = self.under + 1 if ratio < DEADBAND else 0
        if self.under >= (SHORT_OFF_DELAY if at_once else OFF_DELAY):
            self.raised, self.over = False, 0
            self.revision += 1
            return "clear"
        self.since_update += 1
        if certain and mode != self.mode and ratio >= 1.0:
            self.other_for = self.other_for + 1 if mode == self.other_mode else 1
            self.other_mode = mode
        else:
            self.other_for = 0
        changed = self.other_for >= CAUSE_DELAY
        if self.since_update < UPDATE_INTERVAL or not (changed or severity > self.severity):
            return "none"
        if changed:
            self.mode, self.other_for = mode, 0
        self.severity = max(self.severity, severity)
        self.since_update = 0
        self.revision += 1
        return "update"

    def state(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Return the episode in `state`."""
        return cls(**state)
