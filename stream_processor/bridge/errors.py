"""What ends a session of the bridge; it begins another."""

from __future__ import annotations


def text_of(error: BaseException) -> str:
    """Return what an error says, or its kind when it says nothing."""
    return str(error) or type(error).__name__


class SessionError(RuntimeError):
    """One of the two sides is gone; what was not confirmed is delivered again."""


class LeaseLostError(SessionError):
    """Another instance is the active one now."""


class InstanceTakenError(RuntimeError):
    """Another process runs under this bridge's name and instance."""
