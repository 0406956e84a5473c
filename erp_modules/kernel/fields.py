"""Checks of a request that follow from its contract, and update masks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from erp_modules.kernel.errors import FieldViolation, InvalidArgument

_MIN_SECONDS, _MAX_SECONDS = -62135596800, 253402300799  # years 1 to 9999


def validate(request: Message) -> None:
    """Check what every request must fulfil: known enum values, times that exist, text without NUL.

    Raises:
        InvalidArgument: with every field that is wrong.
    """
    violations = [FieldViolation(f, m) for f, m in _violations(request, "")]
    if violations:
        raise InvalidArgument("; ".join(f"{v.field}: {v.message}" for v in violations), violations)


def _violations(message: Message, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(message, Timestamp):
        if not _MIN_SECONDS <= message.seconds <= _MAX_SECONDS or not 0 <= message.nanos < 10**9:
            yield prefix.rstrip("."), "is not a time between the years 1 and 9999"
        return
    for field, value in message.ListFields():
        path = prefix + field.name
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        for index, item in enumerate(value if field.is_repeated else [value]):
            where = f"{path}[{index}]" if field.is_repeated else path
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                yield from _violations(item, f"{where}.")
            elif field.enum_type is not None:
                if item not in field.enum_type.values_by_number:
                    yield where, f"{item} is not a value of {field.enum_type.name}"
            elif field.type == FieldDescriptor.TYPE_STRING and "\0" in item:
                yield where, "holds the character NUL"


def require(message: Message, *paths: str, prefix: str = "") -> None:
    """Let pass a message whose fields `paths` (may be nested: `ticket.title`) are all set.

    Raises:
        InvalidArgument: with every field that is empty; `prefix` goes before the names.
    """
    missing = [prefix + path for path in paths if not _is_set(message, path)]
    if missing:
        raise InvalidArgument(
            f"required: {', '.join(missing)}", [FieldViolation(f, "is required") for f in missing]
        )


def _is_set(message: Any, path: str) -> bool:
    first, _, rest = path.partition(".")
    if rest:
        return message.HasField(first) and _is_set(getattr(message, first), rest)
    field = message.DESCRIPTOR.fields_by_name[first]
    if field.message_type is not None and not field.is_repeated:
        return bool(message.HasField(first))
    return bool(getattr(message, first))


def masked(
    resource: Message, mask: FieldMask, mutable: Collection[str], prefix: str = ""
) -> list[str]:
    """Return the fields an update changes: those of `mask`; when it is empty, those that are set.

    `*` in the mask is every field of `mutable`. `prefix` (`ticket.`) goes before names in errors.

    Raises:
        InvalidArgument: the mask names a field that does not exist or may not be changed.
    """
    if list(mask.paths) == ["*"]:
        return sorted(mutable)
    if not mask.paths:
        return [f.name for f, _ in resource.ListFields() if f.name in mutable]
    for path in mask.paths:
        known = path.split(".")[0] in resource.DESCRIPTOR.fields_by_name
        if path not in mutable:
            why = "may not be changed" if known else f"is no field of {resource.DESCRIPTOR.name}"
            raise InvalidArgument(
                f"update_mask: {path} {why}; one of {', '.join(sorted(mutable))}",
                [
                    FieldViolation("update_mask", f"{path} {why}"),
                    FieldViolation(prefix + path, why),
                ],
            )
    return list(dict.fromkeys(mask.paths))


def decimal_of(text: str, field: str, *, minimum: Decimal | None = None) -> Decimal:
    """Return a decimal a caller wrote, at most six places.

    Raises:
        InvalidArgument: it is no number, not finite, too fine, or below `minimum`.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise InvalidArgument.field(field, f"{text!r} is not a decimal such as 12.50") from None
    if not value.is_finite() or abs(value) >= 10**12:
        raise InvalidArgument.field(field, f"{text!r} is out of range")
    if value != round(value, 6):
        raise InvalidArgument.field(field, f"{text!r} has more than six decimal places")
    if minimum is not None and value < minimum:
        raise InvalidArgument.field(field, f"{text} is less than {minimum}")
    return value


def time_of(timestamp: Timestamp) -> datetime:
    """Return an aware time in UTC, to the microsecond."""
    return timestamp.ToDatetime(tzinfo=UTC)


def timestamp_of(time: datetime | None) -> Timestamp | None:
    """Return a Timestamp, or None; a message's constructor takes either."""
    if time is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
