"""The states of an alarm, modelled on ISA-18.2 (IEC 62682).

Two facts make the state: whether the condition is active, and whether someone has acknowledged it.
A suppression (shelved by an operator for a while, or taken out of service) hides them and keeps
them, so that the alarm comes back as what it has become meanwhile.

| active | acknowledged | state |
|---|---|---|
| yes | no | unacknowledged |
| yes | yes | acknowledged |
| no | no | returned unacknowledged |
| no | yes | normal |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from erp_modules.maintenance.errors import AlarmStepNotAllowed


class AlarmState(StrEnum):
    """Where an alarm stands."""

    UNACKNOWLEDGED = "UNACKNOWLEDGED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RETURNED_UNACKNOWLEDGED = "RETURNED_UNACKNOWLEDGED"
    NORMAL = "NORMAL"
    SHELVED = "SHELVED"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"


# Asks for someone's response: counted as open.
OPEN_STATES: tuple[AlarmState, ...] = (
    AlarmState.UNACKNOWLEDGED,
    AlarmState.ACKNOWLEDGED,
    AlarmState.RETURNED_UNACKNOWLEDGED,
)


@dataclass(frozen=True, slots=True)
class Shelving:
    """Why an alarm is silent, and until when (UTC)."""

    reason: str
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class AlarmCondition:
    """What is known about one alarm; each method returns the condition after what it names."""

    active: bool
    acknowledged: bool
    shelving: Shelving | None = None
    out_of_service: bool = False

    @property
    def state(self) -> AlarmState:
        """The state these facts make."""
        if self.out_of_service:
            return AlarmState.OUT_OF_SERVICE
        if self.shelving is not None:
            return AlarmState.SHELVED
        if self.active:
            return AlarmState.ACKNOWLEDGED if self.acknowledged else AlarmState.UNACKNOWLEDGED
        return AlarmState.NORMAL if self.acknowledged else AlarmState.RETURNED_UNACKNOWLEDGED

    def raised(self) -> AlarmCondition:
        """The condition is there; one that had gone asks to be acknowledged again."""
        return self if self.active else replace(self, active=True, acknowledged=False)

    def cleared(self) -> AlarmCondition:
        """The condition has gone."""
        return replace(self, active=False)

    def acknowledge(self) -> AlarmCondition:
        """Someone has seen it; raises `AlarmStepNotAllowed` when it is suppressed."""
        if self.state in (AlarmState.SHELVED, AlarmState.OUT_OF_SERVICE):
            raise AlarmStepNotAllowed("acknowledged", self.state.value, "unshelve it first")
        return replace(self, acknowledged=True)

    def shelve(self, reason: str, expire_time: datetime) -> AlarmCondition:
        """Silence it until `expire_time`; raises `AlarmStepNotAllowed` when there is nothing to."""
        if self.state in (AlarmState.NORMAL, AlarmState.OUT_OF_SERVICE):
            raise AlarmStepNotAllowed(
                "shelved", self.state.value, "only an alarm that asks for a response can be shelved"
            )
        return replace(self, shelving=Shelving(reason, expire_time))

    def unshelve(self) -> AlarmCondition:
        """End the shelving; nothing changes when there is none."""
        return replace(self, shelving=None)

    def remove_from_service(self) -> AlarmCondition:
        """Suppress it for as long as its equipment is under repair; ends a shelving."""
        return replace(self, out_of_service=True, shelving=None)

    def return_to_service(self) -> AlarmCondition:
        """End the removal."""
        return replace(self, out_of_service=False)
