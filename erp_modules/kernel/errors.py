"""One base for everything a caller can be told, and the one table of codes and statuses."""

# The names are those of the gRPC codes.
# ruff: noqa: N818

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import grpc


@dataclass(frozen=True)
class FieldViolation:
    """What was wrong with one field of the request."""

    field: str
    message: str


class ServiceError(Exception):
    """An error with a code that a door translates; raise a subclass.

    The message is for the caller: it names the thing, what was wrong with it and what to do.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, violations: Iterable[FieldViolation] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.violations = tuple(violations)

    @property
    def status(self) -> int:
        """HTTP status of the code."""
        return HTTP_STATUS[self.code]


class InvalidArgument(ServiceError):
    """The request is wrong whatever the state of the system."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    @classmethod
    def field(cls, field: str, message: str) -> InvalidArgument:
        """Return the error of one field, named as in the contract: `ticket.title`."""
        return cls(f"{field}: {message}", [FieldViolation(field, message)])


class Unauthenticated(ServiceError):
    """Nobody known is calling."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(ServiceError):
    """The caller is known and may not."""

    code = grpc.StatusCode.PERMISSION_DENIED


class NotFound(ServiceError):
    """There is no such thing, or the caller may not see it."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(ServiceError):
    """What should be created is there."""

    code = grpc.StatusCode.ALREADY_EXISTS


class UnseenDuplicate(AlreadyExists):
    """Someone else added it while this transaction ran: the unit of work runs again and sees it."""


class FailedPrecondition(ServiceError):
    """The state of the thing does not allow it; calling again changes nothing."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(ServiceError):
    """Someone else was faster: read again, then try again."""

    code = grpc.StatusCode.ABORTED


class ResourceExhausted(ServiceError):
    """Too many calls; `retry_after` is seconds."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(ServiceError):
    """A part that is needed does not answer; calling again may help."""

    code = grpc.StatusCode.UNAVAILABLE


class Internal(ServiceError):
    """A fault of ours; the log has the rest under the trace id."""

    code = grpc.StatusCode.INTERNAL


# google/rpc/code.proto says which status belongs to which code.
HTTP_STATUS: dict[grpc.StatusCode, int] = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
