"""The spool's file: how it is laid out and opened."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path
from typing import Final

# An id is the ordinal of a boot in the file, then the batch's number in this many bits, so that
# ids are in the order of publishing and need no index of their own.
NUMBER_BITS: Final = 40
MAX_NUMBER: Final = (1 << NUMBER_BITS) - 1

VERSION: Final = 1
SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS boot (ordinal INTEGER PRIMARY KEY, boot_epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lost (first INTEGER PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS batch (
  id INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  made_s INTEGER NOT NULL,
  size INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  topic TEXT NOT NULL,
  payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS batch_by_kind ON batch (kind);
PRAGMA user_version = {VERSION};
"""

# Id, kind's place, second of the age clock, topic, payload.
Row = tuple[int, int, int, str, bytes]

# Larger files are checked as they are read: reading a gigabyte of flash takes a minute.
_CHECKED_BYTES: Final = 64 << 20


class DamagedError(Exception):
    """The file is no spool, or SQLite finds it inconsistent."""


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error is of what is in the file, not of the disk or of who has it open."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT)


def is_full(error: sqlite3.Error) -> bool:
    """Return whether an error is for want of space on the disk."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def checksum(identity: int, kind: int, made_s: int, topic: str, payload: bytes) -> int:
    """Return the CRC-32 of a batch: SQLite does not notice a bit that flipped in a value."""
    return zlib.crc32(payload, zlib.crc32(f"{identity} {kind} {made_s} {topic}".encode()))


def connect(path: Path) -> sqlite3.Connection:
    """Open or make the file, for this process alone.

    Raises:
        DamagedError: it is damaged.
        sqlite3.OperationalError: it cannot be opened, or another process has it.
    """
    database = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    database.text_factory = text
    try:
        # One agent a spool; the lock goes with the process, however that ends.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        # The log keeps its place on the disk, so that there is room to delete when there is none
        # to grow; 1,000 pages are checkpointed at once, so that a page is written once for many.
        database.execute("PRAGMA journal_size_limit = 8388608")
        # What was deleted need not be overwritten: flash is written to less.
        database.execute("PRAGMA secure_delete = OFF")
        # KiB: batches are written once and read once.
        database.execute("PRAGMA cache_size = -256")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION) or (version == 0 and _tables(database)):
            raise DamagedError(f"its layout is of version {version}, not {VERSION}")
        if path.exists() and path.stat().st_size <= _CHECKED_BYTES:
            found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise DamagedError(found)
        if version == 0:
            database.executescript(SCHEMA)
    except sqlite3.Error as error:
        database.close()
        if is_damage(error):
            raise DamagedError(str(error)) from error
        raise
    except DamagedError:
        database.close()
        raise
    return database


def text(content: bytes) -> str:
    """Return text as it is read: what a flipped bit made of it does not raise."""
    return content.decode("utf-8", "replace")


def _tables(database: sqlite3.Connection) -> set[str]:
    return {str(row[0]) for row in database.execute("SELECT name FROM sqlite_master")}


def move_aside(path: Path, stamp: int) -> Path:
    """Move a damaged file and its log out of the way and return where it is; only one is kept."""
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    for old in path.parent.glob(f"{path.name}.corrupt-*"):
        old.unlink()
    for suffix in ("-wal", "-shm", ""):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(aside.with_name(aside.name + suffix))
    return aside
