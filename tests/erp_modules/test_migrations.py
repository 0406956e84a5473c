"""Migrations of the kernel and of every module, on both databases."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic import command
from sqlalchemy import inspect

from erp_modules.kernel import migrate
from erp_modules.kernel.bootstrap import module_names
from erp_modules.kernel.unit_of_work import Database


@pytest.mark.parametrize("module", ["kernel", *module_names()])
def test_they_lead_to_the_models(empty_database_url: str, module: str) -> None:
    importlib.import_module(f"erp_modules.{module}.models")
    database = Database(empty_database_url)
    migrate.upgrade(database.engine)
    assert migrate.differences(database.engine, module) == []
    database.close()


def test_processes_that_start_together_migrate_once(empty_database_url: str) -> None:
    databases = [Database(empty_database_url) for _ in range(3)]
    with ThreadPoolExecutor(len(databases)) as pool:
        list(pool.map(lambda database: migrate.upgrade(database.engine), databases))
    assert migrate.differences(databases[0].engine, "kernel") == []
    for database in databases:
        database.close()


def test_one_that_fails_leaves_nothing(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade

    def power_cut(*arguments: Any) -> None:
        upgrade(*arguments)
        raise RuntimeError("power cut")

    database = Database(empty_database_url)
    monkeypatch.setattr(command, "upgrade", power_cut)
    with pytest.raises(RuntimeError, match="power cut"):
        migrate.upgrade(database.engine)
    assert inspect(database.engine).get_table_names() == []
    monkeypatch.undo()
    migrate.upgrade(database.engine)
    assert "kernel_outbox" in inspect(database.engine).get_table_names()
    database.close()
