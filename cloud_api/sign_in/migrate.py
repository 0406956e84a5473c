"""Bring the sign-in's tables up to date; they have a line of revisions of their own."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "sign_in_alembic_version"
# Any number will do, as long as nothing else in the database takes the same lock.
_LOCK = 5_071_101


def configuration(connection: Connection) -> Config:
    """Return the Alembic configuration; commands run on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> None:
    """Run every migration that the database has not had, all or none.

    Several processes may start at once: one migrates, the others wait for it.
    """
    postgresql = engine.dialect.name == "postgresql"
    # Not serializable: after the wait for the lock it must see what the other one did.
    options = {"isolation_level": "READ COMMITTED"} if postgresql else {}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        if postgresql:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(configuration(connection), "head")
