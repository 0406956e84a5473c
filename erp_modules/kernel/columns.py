"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import BigInteger, DateTime, Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, to the microsecond."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return UTC; without the zone where the database keeps none."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal of at most six places, kept as a whole number of millionths.

    SQLite has no decimals and would round; whole numbers add up exactly on both, in SQL too.
    """

    impl = BigInteger
    cache_ok = True
    places = 6

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """Return millionths; refuses what would be rounded."""
        if value is None:
            return None
        scaled = Decimal(value).scaleb(self.places)
        if not scaled.is_finite() or scaled != scaled.to_integral_value():
            raise ValueError(f"{value} has more than {self.places} decimal places")
        if abs(scaled) >= 2**63:
            raise ValueError(f"{value} is too large")
        return int(scaled)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """Return the decimal without trailing zeros."""
        if value is None:
            return None
        whole = Decimal(value).scaleb(-self.places).normalize()
        return whole if whole.as_tuple().exponent <= 0 else whole.quantize(Decimal(1))  # type: ignore[operator]


class ProtoMessage(TypeDecorator[Message]):
    """A message of a contract, kept as its wire bytes."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, message: type[Message]) -> None:
        super().__init__()
        self.message = message

    def process_bind_param(self, value: Message | None, dialect: Dialect) -> bytes | None:
        """Return the wire bytes."""
        return None if value is None else value.SerializeToString(deterministic=True)

    def process_result_value(self, value: Any, dialect: Dialect) -> Message | None:
        """Return a new message."""
        return None if value is None else self.message.FromString(bytes(value))
