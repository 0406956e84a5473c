"""Passwords and tokens: made, kept as hashes, compared."""

from __future__ import annotations

import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# RFC 9106, second recommended option (64 MiB, three passes), with one lane: cores are few.
_HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)
# Compared with when the user does not exist, so that the answer takes as long.
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password, with salt and parameters."""
    return str(_HASHER.hash(password))


def is_password(password: str, password_hash: str | None) -> bool:
    """Say whether `password` is the one; with None (no such user) take as long and say no."""
    try:
        _HASHER.verify(password_hash or _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def new_password() -> str:
    """Return a password to print, 96 bits."""
    return secrets.token_urlsafe(12)


def new_token() -> str:
    """Return a token of 256 bits."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """Return what is kept of a token; it has enough chance in it to need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()
