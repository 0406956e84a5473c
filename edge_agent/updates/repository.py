"""The update repository, seen through The Update Framework; the only file that knows `tuf`.

TUF refuses what is unsigned, expired, older than what was seen, of another snapshot, longer than
announced, or other than announced (TUF specification 1.0.34, section 5). On top come bounds on time
for a server that never says no but never ends either.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final
from urllib.parse import quote

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    RepositoryError,
    SlowRetrievalError,
)
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.updater import Updater
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError

from edge_agent import durable

# Generous for the metadata of a repository that serves some hundred models.
LIMITS: Final = UpdaterConfig(
    max_root_rotations=64,
    max_delegations=4,
    root_max_length=128 << 10,
    timestamp_max_length=16 << 10,
    snapshot_max_length=256 << 10,
    targets_max_length=2 << 20,
    app_user_agent="headrace-edge",
)
# A small piece at a time, so that a trickle is seen for what it is.
PIECE_BYTES: Final = 16 << 10


class RefusedError(RuntimeError):
    """The repository, or what it serves, is not to be trusted; nothing of it was used."""


class UnreachableError(RuntimeError):
    """The repository cannot be reached; nothing is wrong with it as far as is known."""


class Repository:
    """The repository of one server; trusts the root that enrolment brought."""

    def __init__(
        self,
        server: str,
        root: bytes,
        metadata: Path,
        stall_s: float = 20.0,
        least_rate_bytes_s: float = 8192.0,
    ) -> None:
        """Prepare; nothing touches the network yet.

        Raises:
            RefusedError: the root is none.
        """
        metadata.mkdir(parents=True, exist_ok=True)
        self._metadata = metadata
        self._fetcher = _Fetcher(stall_s, least_rate_bytes_s)
        base = f"{server.rstrip('/')}/v1/updates"
        with _told("root"):
            self._updater = Updater(
                str(metadata),
                f"{base}/metadata/",
                target_base_url=f"{base}/targets/",
                fetcher=self._fetcher,
                config=LIMITS,
                bootstrap=root,
            )

    @property
    def clock_skew_s(self) -> float | None:
        """How far this clock is ahead of the server's, to a second; None before the first word."""
        return self._fetcher.skew_s

    def refresh(self) -> None:
        """Bring the metadata up to date.

        Raises:
            RefusedError, UnreachableError: it is not to be trusted, or cannot be reached.
        """
        with _told("metadata"):
            self._updater.refresh()
        for path in self._metadata.iterdir():
            if path.suffix == ".json" and not path.is_symlink():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        durable.sync_folder(self._metadata)

    def download(
        self, target: str, folder: Path, max_bytes: int, least: bool = True
    ) -> Path | None:
        """Download a target into a folder, verified; None when there is none and none need be.

        Raises:
            RefusedError: there is none, or it is larger than `max_bytes`, or not as announced.
            UnreachableError: the server went away.
        """
        with _told(target):
            info = self._updater.get_targetinfo(target)
            if info is None:
                if least:
                    raise RefusedError(f"{target}: nobody who may has signed it")
                return None
            if info.length > max_bytes:
                raise RefusedError(f"{target}: {info.length} bytes are more than {max_bytes}")
            free = os.statvfs(folder)
            if info.length * 2 > free.f_bavail * free.f_frsize:
                raise OSError(f"{target}: no room on the disk for {info.length} bytes")
            path = folder / quote(target, "")
            self._updater.download_target(info, str(path))
            return path

    def announced(self, target: str) -> str | None:
        """Return the SHA-256 under which a target is signed, None when it is not.

        Raises:
            RefusedError, UnreachableError: the metadata of its role cannot be had.
        """
        with _told(target):
            info = self._updater.get_targetinfo(target)
            return None if info is None else info.hashes.get("sha256")


class _Fetcher(Urllib3Fetcher):
    """urllib3 with an end: of a silence, and of a download as a whole."""

    def __init__(self, stall_s: float, least_rate_bytes_s: float) -> None:
        super().__init__(
            socket_timeout=stall_s,  # type: ignore[arg-type]  # urllib3 takes fractions
            chunk_size=PIECE_BYTES,
            app_user_agent=LIMITS.app_user_agent,
        )
        self._stall_s, self._least_rate = stall_s, least_rate_bytes_s
        self.skew_s: float | None = None

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[Any]]:
        """Download a file within the time that its greatest length takes at the least rate."""
        with (
            _deadline(self._stall_s + max_length / self._least_rate, url),
            super().download_file(url, max_length) as file,
        ):
            yield file

    def _chunks(self, response: Any) -> Iterator[bytes]:
        date = response.headers.get("Date")
        if date:
            try:
                self.skew_s = round(time.time() - parsedate_to_datetime(date).timestamp(), 1)
            except ValueError:
                self.skew_s = None
        return super()._chunks(response)


@contextmanager
def _deadline(seconds: float, what: str) -> Iterator[None]:
    """Interrupt whatever the main thread waits for, headers that never end included."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise SlowRetrievalError(f"{what}: not there after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say the library's errors in ours: refused, or not reached."""
    try:
        yield
    except ExpiredMetadataError as error:
        raise RefusedError(f"{what}: expired: {error}") from error
    except SlowRetrievalError as error:
        cause = error.__cause__
        if isinstance(cause, MaxRetryError) and isinstance(cause.reason, ConnectTimeoutError):
            # No connection at all, which the library calls slow.
            raise UnreachableError(f"{what}: {cause.reason}") from error
        raise RefusedError(f"{what}: too slow: {error or 'nothing came'}") from error
    except DownloadHTTPError as error:
        raise UnreachableError(f"{what}: the server says {error.status_code}") from error
    except DownloadError as error:
        if isinstance(error.__cause__, HTTPError | OSError):
            raise UnreachableError(f"{what}: {error.__cause__}") from error
        raise RefusedError(f"{what}: {error}") from error
    except RepositoryError as error:
        raise RefusedError(f"{what}: {type(error).__name__}: {error}") from error
    except HTTPError as error:
        raise UnreachableError(f"{what}: {error}") from error
    except json.JSONDecodeError as error:
        raise RefusedError(f"{what}: {error}") from error
