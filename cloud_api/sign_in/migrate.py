"""Bring the sign-in's tables up to date; they have a line of revisions of their own."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from cloud_api.migrating import upgrade_to_head

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "sign_in_alembic_version"
# Any number will do, as long as nothing else in the database takes the same lock.
_LOCK = 5_071_101


def upgrade(engine: Engine) -> None:
    """Run every migration that the database has not had, all or none."""
    upgrade_to_head(engine, MIGRATIONS, _LOCK)
