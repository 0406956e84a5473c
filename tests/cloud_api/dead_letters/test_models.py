"""Tables and their revisions say the same."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from cloud_api.dead_letters.migrate import VERSION_TABLE, upgrade
from cloud_api.dead_letters.models import DeadLetterBase


def test_the_revisions_make_what_the_models_want(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/scratch.db")
    upgrade(engine)
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, DeadLetterBase.metadata) == []
    assert set(DeadLetterBase.metadata.tables) < set(inspect(engine).get_table_names())
    engine.dispose()
