"""Bring tables of the server's own up to date, each line of revisions by itself."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text


def configuration(connection: Connection, migrations: Path) -> Config:
    """Return the Alembic configuration of a folder; commands run on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    return config


def upgrade_to_head(engine: Engine, migrations: Path, lock: int) -> None:
    """Run every migration that the database has not had, all or none.

    Several processes may start at once: one migrates, the others wait for it at `lock`.
    """
    postgresql = engine.dialect.name == "postgresql"
    # Not serializable: after the wait for the lock it must see what the other one did.
    options = {"isolation_level": "READ COMMITTED"} if postgresql else {}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        if postgresql:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
        command.upgrade(configuration(connection, migrations), "head")
