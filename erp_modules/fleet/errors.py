"""What can go wrong here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from erp_modules.kernel.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    Unauthenticated,
)


class PartMissing(FailedPrecondition):
    """This server was started without a part that the call needs."""

    def __init__(self, what: str, order: str) -> None:
        super().__init__(f"this server has no {what}: {order}")


class TokenRefused(Unauthenticated):
    """A one-time token that enrols nobody. Why is not told to who may be guessing."""

    def __init__(self) -> None:
        super().__init__(
            "the token is wrong, used, revoked, expired, or for another gateway: ask for a new one"
        )


class ProofRefused(Unauthenticated):
    """A renewal whose certificate or proof will not do."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}: enrol this gateway again")


class KeyKnown(AlreadyExists):
    """A certificate was issued for this key before."""

    def __init__(self) -> None:
        super().__init__("a certificate was issued for this key before: make another key")


class GatewayIsRevoked(FailedPrecondition):
    """A gateway that was revoked is told nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is revoked: enrol it again with a new token")


class MetadataRefused(InvalidArgument):
    """Metadata or a target that the keys did not sign as it is."""


class RolloutStepNotAllowed(FailedPrecondition):
    """A rollout in this state cannot take this step; the message says which it can take."""

    def __init__(self, step: str, state: str, allowed: Sequence[str]) -> None:
        way_on = f"allowed now: {', '.join(allowed)}" if allowed else "nothing leads on from there"
        super().__init__(f"a rollout that is {state} cannot {step}; {way_on}")


class RolloutUnderWay(FailedPrecondition):
    """The gateways follow one rollout of a thing at a time."""

    def __init__(self, subject: str, rollout: str) -> None:
        super().__init__(f"{rollout} of {subject} is under way: revert it or let it end first")


class WriteNotAllowed(FailedPrecondition):
    """Nobody said that this may be written, or the value is outside what was said."""


class CommandIsSettled(FailedPrecondition):
    """A command that is past this step."""

    def __init__(self, name: str, state: str, wanted: str) -> None:
        super().__init__(f"{name} is {state}, not {wanted}")
