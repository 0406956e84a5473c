"""Identifiers: pure functions of causes, or new ones for what a person creates."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

Cause = str | int | bytes | datetime | Decimal | None

_BYTES = 10  # 80 bits are 16 characters of base32, no padding


def _readable(digest: bytes) -> str:
    return base64.b32encode(digest[:_BYTES]).decode().lower()


def _canonical(cause: Cause) -> bytes:
    match cause:
        case None:
            text = b"n"
        case bytes():
            text = b"b" + cause
        case str():
            text = b"s" + str.encode(cause, errors="surrogatepass")
        case datetime():
            if cause.tzinfo is None:
                raise ValueError(f"a cause without a time zone: {cause!r}")
            text = b"t" + cause.astimezone(UTC).isoformat(timespec="microseconds").encode()
        case Decimal():
            text = b"d" + f"{cause.normalize():f}".encode()
        case int():  # of an enumeration, its number
            text = b"i" + int.__repr__(cause).encode()
    return len(text).to_bytes(4, "big") + text


def derived_id(prefix: str, *causes: Cause) -> str:
    """Return `{prefix}-{16 characters}`, a pure function of `causes` and their order.

    80 bits of SHA-256 in base32. Two lists of causes that differ in any element, or in where one
    element ends, have different ids.

    Raises:
        ValueError: there is no cause, or a time among them has no time zone.

    >>> derived_id("tkt", "bearing", "P-101", 7)
    'tkt-sgtcavrkt7puz2vw'
    """
    if not causes:
        raise ValueError(f"an id {prefix!r} derived from nothing would be the same for everything")
    digest = hashlib.sha256(b"".join(map(_canonical, (prefix, *causes)))).digest()
    return f"{prefix}-{_readable(digest)}"


class Ids(Protocol):
    """Makes new identifiers."""

    def new(self, prefix: str) -> str:
        """Return `{prefix}-{16 characters}` that was never returned before."""
        ...


class RandomIds:
    """New identifiers from the machine's randomness."""

    def new(self, prefix: str) -> str:
        """Return `{prefix}-{16 characters}`."""
        return f"{prefix}-{_readable(secrets.token_bytes(_BYTES))}"


class SequentialIds:
    """New identifiers in a known order: for tests."""

    def __init__(self) -> None:
        self._last = 0

    def new(self, prefix: str) -> str:
        """Return `{prefix}-0001`, `{prefix}-0002`, …"""
        self._last += 1
        return f"{prefix}-{self._last:04d}"
