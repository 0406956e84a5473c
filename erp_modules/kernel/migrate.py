"""Bring a database up to date: every module has its own line of revisions.

`python -m erp_modules.kernel.migrate MODULE "message"` writes the next revision of a module from
the difference between its models and its revisions so far.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.types import TypeDecorator

from erp_modules.kernel.models import Base

HERE = Path(__file__).parent
# Any number will do, as long as nothing else in the database takes the same lock.
_LOCK = 5_071_100


def folder_of(module: str) -> Path:
    """Return the folder of a module's revisions."""
    return HERE / "migrations" / "versions" if module == "kernel" else _module_folder(module)


def _module_folder(module: str) -> Path:
    return HERE.parent / module / "migrations"


def locations() -> list[Path]:
    """Return every folder of revisions: the kernel's, then those of the modules."""
    modules = sorted(p.name for p in HERE.parent.iterdir() if (p / "migrations").is_dir())
    return [folder_of("kernel"), *(_module_folder(m) for m in modules if m != "kernel")]


def configuration(connection: Connection | None = None, module: str = "") -> Config:
    """Return the Alembic configuration; commands run on `connection`, for one module or all."""
    config = Config()
    config.set_main_option("script_location", str(HERE / "migrations"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, locations())))
    config.attributes.update(connection=connection, module=module)
    return config


def upgrade(engine: Engine) -> None:
    """Run every migration that the database has not had, all or none.

    Several processes may start at once: one migrates, the others wait for it.
    """
    with _alone(engine) as connection:
        command.upgrade(configuration(connection), "heads")


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            # SQLite changes a table by copying it and dropping the old one, which must not cascade;
            # the pragma does nothing inside a transaction.
            raw.execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    yield connection
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                    if broken:
                        raise RuntimeError(f"a migration left broken references: {broken[:3]}")
            finally:
                raw.execute("PRAGMA foreign_keys=ON")
    else:
        # Not serializable: after the wait for the lock it must see what the other one did.
        engine = engine.execution_options(isolation_level="READ COMMITTED")
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection


def owns(module: str, kind: str, name: str | None, item: Any) -> bool:
    """Say whether a table, or what belongs to one, is the module's; an empty module owns all."""
    table = name if kind == "table" else item.table.name
    return not module or (table or "").startswith(f"{module}_")


def render_type(kind: str, item: Any, context: Any) -> str | Literal[False]:
    """Write a type of ours as the plain one beneath it: a revision stays as it was written."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl!r}"
    return False


def differences(engine: Engine, module: str) -> list[Any]:
    """Return what the module's models have that the migrated database has not, or the reverse."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda item, name, kind, reflected, other: owns(
                    module, kind, name, item
                ),
            },
        )
        return list(compare_metadata(context, Base.metadata))


def revise(module: str, message: str) -> Path:
    """Write the next revision of a module and return its file.

    Raises:
        ValueError: models and revisions do not differ.
    """
    importlib.import_module(f"erp_modules.{module}.models")
    folder = folder_of(module)
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        engine = create_engine(f"sqlite:///{scratch}/scratch.db")
        upgrade(engine)
        if not differences(engine, module):
            raise ValueError(f"the models of {module} are as its revisions say")
        with engine.connect() as connection:
            config = configuration(connection, module)
            lines = ScriptDirectory.from_config(config).walk_revisions()
            known = [r for r in lines if Path(r.path).parent == folder]
            command.revision(
                config,
                message,
                autogenerate=True,
                head=f"{module}@head" if known else "base",
                branch_label=None if known else module,
                version_path=str(folder),
                rev_id=f"{module}_{len(known) + 1:04d}",
            )
        engine.dispose()
    path = max(folder.glob("*.py"), key=lambda path: path.stat().st_mtime_ns)
    _tidy(path)
    return path


def _tidy(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.lstrip().startswith("# ###")))
    for order in (["format"], ["check", "--fix"], ["format"]):
        subprocess.run([sys.executable, "-m", "ruff", *order, "--quiet", path], check=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.stdout.write(f"{revise(sys.argv[1], sys.argv[2])}\n")
