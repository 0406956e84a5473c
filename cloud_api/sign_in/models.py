"""Tables of the sign-in.

They are read before it is known who calls, so they do not belong to an organisation as the modules'
tables do: a user name is unique over all of them, and says which organisation its bearer is of.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from erp_modules.kernel.columns import UtcDateTime
from erp_modules.kernel.models import NAMING


class SignInBase(DeclarativeBase):
    """Base of the sign-in's tables, which have migrations of their own."""

    metadata = MetaData(naming_convention=NAMING)


class User(SignInBase):
    """Someone who may sign in; `roles` and `sites` are words with spaces, no sites all of them."""

    __tablename__ = "sign_in_users"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    organisation: Mapped[str] = mapped_column(String(64))
    roles: Mapped[str] = mapped_column(Text)
    sites: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(String(256))
    create_time: Mapped[datetime] = mapped_column(UtcDateTime)


class Session(SignInBase):
    """A browser that is signed in; the cookie's token is kept as its SHA-256 only."""

    __tablename__ = "sign_in_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_name: Mapped[str] = mapped_column(
        ForeignKey("sign_in_users.name", ondelete="CASCADE"), index=True
    )
    create_time: Mapped[datetime] = mapped_column(UtcDateTime)
    expire_time: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class ApiToken(SignInBase):
    """A bearer token that acts for its user, for scripts; kept as its SHA-256 only."""

    __tablename__ = "sign_in_tokens"

    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_name: Mapped[str] = mapped_column(
        ForeignKey("sign_in_users.name", ondelete="CASCADE"), index=True
    )
    title: Mapped[str] = mapped_column(String(128))
    create_time: Mapped[datetime] = mapped_column(UtcDateTime)
