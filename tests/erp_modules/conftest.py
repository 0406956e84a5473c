"""The databases every module is tested on: SQLite, and a real PostgreSQL."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from erp_modules.kernel.migrate import upgrade
from erp_modules.kernel.unit_of_work import Database
from headrace.broker import free_port


def _binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs: on PATH, in the system, else in a wheel."""
    found = shutil.which("initdb")
    if found and (Path(found).parent / "postgres").exists():
        return Path(found).resolve().parent
    installed = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if installed:
        return max(installed, key=lambda p: int(p.parent.name) if p.parent.name.isdigit() else 0)
    wheel = find_spec("pgserver")
    if wheel is not None and wheel.origin is not None:
        bundled = Path(wheel.origin).parent / "pginstall" / "bin"
        if (bundled / "initdb").exists():
            return bundled
    return None


def _unprivileged() -> pwd.struct_passwd | None:
    """Return someone to run PostgreSQL as when we are root, which it refuses; else None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is neither postgres nor nobody")


def _reachable(binaries: Path, user: pwd.struct_passwd, copy_to: Path) -> Path:
    """Return binaries that `user` may run: in a home closed to others, a copy of them."""
    if _may_reach(binaries, user):
        return binaries
    shutil.copytree(binaries.parent, copy_to, symlinks=True)
    return copy_to / binaries.name


def _may_reach(path: Path, user: pwd.struct_passwd) -> bool:
    return all(
        step.stat().st_mode & 0o001 or step.stat().st_uid == user.pw_uid
        for step in [path, *path.parents]
    )


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL (without a database) of a PostgreSQL of our own, gone after the session."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: pip install pgserver")
    user = _unprivileged()
    # Not pytest's folder: others may not enter it, and the server may run as someone else.
    root = Path(tempfile.mkdtemp(prefix="headrace-pg-"))
    identity: dict[str, Any] = {}
    if user is not None:
        root.chmod(0o755)
        binaries = _reachable(binaries, user, root / "postgresql")
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    home = root / "home"
    home.mkdir()
    password = secrets.token_urlsafe(18)
    (home / "password").write_text(password)
    if user is not None:
        for path in (home, home / "password"):
            os.chown(path, user.pw_uid, user.pw_gid)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}
    port = free_port()
    server: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(
            [str(binaries / "initdb"), "-D", str(home / "data"), "-U", "headrace", "-E", "UTF8",
             "-A", "scram-sha-256", "--pwfile", str(home / "password"), "--no-sync"],
            check=True, capture_output=True, cwd=home, env=environment, **identity,
        )  # fmt: skip
        with (root / "log").open("wb") as log:
            server = subprocess.Popen(
                [str(binaries / "postgres"), "-D", str(home / "data"), "-h", "127.0.0.1",
                 "-p", str(port), "-k", str(home), "-c", "fsync=off"],
                stdout=log, stderr=log, cwd=home, env=environment, **identity,
            )  # fmt: skip
        url = f"postgresql+pg8000://headrace:{password}@127.0.0.1:{port}"
        _wait(url, server, root / "log")
        yield url
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # fast: does not wait for clients to go
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(root, ignore_errors=True)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    engine = create_engine(f"{url}/postgres")
    deadline = time.monotonic() + 60
    while True:
        try:
            with engine.connect():
                break
        except Exception as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text(errors="replace")[-2000:]) from error
            time.sleep(0.1)
    engine.dispose()


@contextmanager
def _database(server_url: str, name: str, template: str) -> Iterator[str]:
    server = create_engine(f"{server_url}/postgres", isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield f"{server_url}/{name}"
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


def _migrate(url: str) -> None:
    database = Database(url)
    upgrade(database.engine)
    database.close()


@pytest.fixture(scope="session")
def _migrated_postgresql(postgresql_server: str) -> Iterator[str]:
    with _database(postgresql_server, "migrated", "template0") as url:
        _migrate(url)
        yield "migrated"


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "headrace.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def postgresql_url(postgresql_server: str, _migrated_postgresql: str) -> Iterator[str]:
    """URL of a PostgreSQL database with every module's tables and no rows, gone after the test."""
    name = f"test_{secrets.token_hex(6)}"
    with _database(postgresql_server, name, _migrated_postgresql) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path, _migrated_sqlite: Path) -> str:
    """URL of an SQLite database with every module's tables and no rows."""
    path = tmp_path / "headrace.db"
    shutil.copyfile(_migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a database without rows; the test runs on SQLite and on PostgreSQL."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without tables, for tests of migrations."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server_url = str(request.getfixturevalue("postgresql_server"))
    with _database(server_url, f"test_{secrets.token_hex(6)}", "template0") as url:
        yield url
