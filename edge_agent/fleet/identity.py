"""Where a gateway keeps who it is: key and certificate in one file, authority, trusted root.

Key and certificate lie in one file so that a renewal replaces both by one rename.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.settings import Settings

# A certificate is renewed when this share of its time has passed.
RENEWAL_SHARE: Final = 2 / 3


class Validity(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when a certificate is good, seconds since the epoch."""

    not_before_s: float
    not_after_s: float
    serial: str = ""

    @property
    def renewal_s(self) -> float:
        """When it is time for another."""
        return self.not_before_s + RENEWAL_SHARE * (self.not_after_s - self.not_before_s)

    def to_json(self) -> bytes:
        """Return it for a file."""
        return msgspec.json.encode(self)


@dataclass(frozen=True, slots=True)
class Identity:
    """The files of one edge node."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """Private key and certificate, PEM, for the owner only."""
        return self.folder / "identity.pem"

    @property
    def authority(self) -> Path:
        """Certificate of the authority that the broker is under, PEM."""
        return self.folder / "authority.pem"

    @property
    def root(self) -> Path:
        """Root metadata of the update repository that is trusted first."""
        return self.folder / "root.json"

    @property
    def validity(self) -> Path:
        """When the certificate began and ends, so that nobody needs to parse it."""
        return self.folder / "validity.json"

    def read_validity(self) -> Validity | None:
        """Return when the certificate is good; None when there is none."""
        try:
            return msgspec.json.decode(self.validity.read_bytes(), type=Validity)
        except (OSError, msgspec.DecodeError):
            return None


def of(settings: Settings) -> Identity:
    """Return the identity of an agent, beside its spool."""
    return Identity(settings.spool_path.with_suffix(".identity"))
