"""Pages by key: an opaque, signed token says after which row the next page starts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from erp_modules.kernel.errors import InvalidArgument

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
_SIGNATURE_BYTES = 12


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, the token of the next page (empty on the last) and how many rows there are."""

    items: Sequence[T]
    next_page_token: str
    total_size: int


def page_size(requested: int) -> int:
    """Return the number of rows of a page: 50 for 0, never more than 1000.

    Raises:
        InvalidArgument: it is negative.
    """
    if requested < 0:
        raise InvalidArgument.field("page_size", f"{requested} is negative")
    return min(requested or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def _encode(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": value.astimezone(UTC).isoformat()}
    if isinstance(value, Decimal):
        return {"d": str(value)}
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        return datetime.fromisoformat(value["t"]) if "t" in value else Decimal(value["d"])
    return value


class PageTokens:
    """Signs tokens with a key that all replicas share."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, query: str, values: Sequence[Any]) -> str:
        """Return the token of the page after the row with the sort values `values`.

        `query` says what is listed, how and by whom: a token fits no other query.
        """
        body = json.dumps([_encode(v) for v in values], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._sign(query, body) + body).decode().rstrip("=")

    def read(self, query: str, token: str) -> list[Any]:
        """Return the sort values of a token.

        Raises:
            InvalidArgument: it was not made here, or for another query.
        """
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            raw = b""
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(query, body)):
            raise InvalidArgument.field(
                "page_token", "not a token of this list with these arguments: start without one"
            )
        return [_decode(v) for v in json.loads(body)]

    def _sign(self, query: str, body: bytes) -> bytes:
        message = hashlib.sha256(query.encode()).digest() + body
        return hmac.digest(self._key, message, "sha256")[:_SIGNATURE_BYTES]
