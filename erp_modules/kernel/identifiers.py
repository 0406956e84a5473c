"""Which texts can identify a thing of the plant.

Sites and tags become parts of topics and resource names, so they hold none of the characters that
separate those (docs/contracts.md, Telemetry).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.protobuf.message import Message

from erp_modules.kernel.errors import FieldViolation, InvalidArgument

_IDENTIFIER = re.compile(r"[^/+#.*>\s]{1,60}")
_CODE = re.compile(r"[^/\s]{1,60}")


def check_identifiers(message: Message, *fields: str, prefix: str) -> None:
    """Let pass a message whose `fields` are sites, tags or other parts of topics.

    Raises:
        InvalidArgument: with every field that is not; `prefix` goes before the names.
    """
    _raise(
        (prefix + field, "write 1 to 60 characters without / + # . * > and white space")
        for field in fields
        if not _IDENTIFIER.fullmatch(getattr(message, field))
    )


def check_codes(message: Message, *fields: str, prefix: str) -> None:
    """Let pass a message whose `fields` are codes of the trade, such as part numbers.

    They end a resource name, never a topic.

    Raises:
        InvalidArgument: with every field that is not; `prefix` goes before the names.
    """
    _raise(
        (prefix + field, "write 1 to 60 characters without / and white space")
        for field in fields
        if not _CODE.fullmatch(getattr(message, field))
    )


def check_lengths(message: Message, *, prefix: str, **limits: int) -> None:
    """Let pass a message whose fields are no longer than `limits` say, in characters.

    Raises:
        InvalidArgument: with every field that is too long.
    """
    _raise(
        (prefix + field, f"is longer than {limit} characters")
        for field, limit in limits.items()
        if len(getattr(message, field)) > limit
    )


def _raise(found: Iterable[tuple[str, str]]) -> None:
    violations = [FieldViolation(field, why) for field, why in found]
    if violations:
        raise InvalidArgument("; ".join(f"{v.field}: {v.message}" for v in violations), violations)
