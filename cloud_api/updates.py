"""The update repository: what gateways may have, under The Update Framework's signatures.

The server holds the keys of `timestamp`, `snapshot` and `rollouts` only. What a model or a
configuration is, the offline key of `targets` says, and the server passes on what that key signed:
who takes over the server can withhold and can choose among signed versions, but cannot make one.

Files are written content first, `timestamp.json` last, each by a rename: whatever is cut off in
between, gateways see the repository as it was.
"""

from __future__ import annotations

import fcntl
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]
    DelegatedRole,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from cloud_api.fleet_authority import write_whole
from erp_modules.fleet.errors import MetadataRefused
from erp_modules.fleet.ports import Target
from erp_modules.fleet.release_service import MAX_TARGET_BYTES, is_target

FOLDER: Final = "updates"
ONLINE_KEY: Final = "online.key"
ROLLOUTS: Final = "rollouts"
ROLLOUT_PATHS: Final = ["rollouts/*.json"]
TIMESTAMP_LIFETIME: Final = timedelta(days=1)
SNAPSHOT_LIFETIME: Final = timedelta(days=7)
# Signed again when this has passed since it was signed.
TIMESTAMP_AGE: Final = timedelta(hours=1)
SNAPSHOT_AGE: Final = timedelta(days=1)
_KEPT_VERSIONS: Final = 64

S = TypeVar("S", Root, Snapshot, Targets, Timestamp)


class RepositoryMissingError(RuntimeError):
    """There is no repository in the data folder, or its key cannot be used."""


class UpdateRepository:
    """The repository in a data folder, made by `headrace fleet keys`."""

    def __init__(self, folder: Path) -> None:
        """Open it.

        Raises:
            RepositoryMissingError: there is none, or the online key cannot be used.
        """
        self.metadata_folder = folder / "metadata"
        self.targets_folder = folder / "targets"
        self._lock_path = folder / "lock"
        self._lock = threading.Lock()
        try:
            key = load_pem_private_key((folder / ONLINE_KEY).read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise RepositoryMissingError(f"{folder / ONLINE_KEY}: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise RepositoryMissingError(f"{folder / ONLINE_KEY}: not an Ed25519 key")
        self._signer = CryptoSigner(key)
        if not (self.metadata_folder / "1.root.json").exists():
            raise RepositoryMissingError(f"{self.metadata_folder}: no root metadata")

    def root(self) -> bytes:
        """Return the newest root metadata."""
        return self._root_path().read_bytes()

    def publish_root(self, content: bytes) -> None:
        """Take the next root metadata, signed by the keys before and by its own.

        Raises:
            MetadataRefused: it is not.
        """
        with self._alone():
            current = self._root()
            following = _parsed(content, Root)
            try:
                current.verify_delegate(Root.type, following)
                following.verify_delegate(Root.type, following)
            except (RepositoryError, ValueError) as error:
                raise MetadataRefused(f"root: {error}") from error
            if following.signed.version != current.signed.version + 1:
                raise MetadataRefused(f"root: version {current.signed.version + 1} is the next")
            self._write(f"{following.signed.version}.root.json", content)

    def publish_targets(
        self, metadata: bytes, files: Mapping[str, bytes], now: datetime
    ) -> Sequence[Target]:
        """Take signed targets metadata with its files; return all targets. The same again is fine.

        Raises:
            MetadataRefused: the keys did not sign it, it is not the next version, expired, takes
                the server's delegation away, or names a file that is not as it says.
        """
        with self._alone():
            given = _parsed(metadata, Targets)
            try:
                self._root().verify_delegate(Targets.type, given)
            except (RepositoryError, ValueError) as error:
                raise MetadataRefused(f"targets: {error}") from error
            if given.signed.is_expired(now):
                raise MetadataRefused("targets: expired")
            self._check_delegation(given.signed)
            snapshot = self._snapshot()
            known = snapshot.meta["targets.json"].version if snapshot else 0
            current = self._path("targets", known)
            if known and current.read_bytes() == metadata:
                return _all(given.signed)
            if given.signed.version != known + 1:
                raise MetadataRefused(
                    f"targets: version {given.signed.version} cannot follow {known}: "
                    "begin with what is published now"
                )
            for path, target in given.signed.targets.items():
                self._take(path, target, files)
            self._write(f"{given.signed.version}.targets.json", metadata)
            self._sign(now, targets=given.signed.version)
            return _all(given.signed)

    def publish_rollouts(self, documents: Mapping[str, bytes], now: datetime) -> bool:
        """Let `rollouts/{site}.json` be these; say whether anything was new."""
        with self._alone():
            rollouts = self._rollouts(now)
            changed = False
            for site, content in documents.items():
                path = f"rollouts/{site}.json"
                target = TargetFile.from_data(path, content, ["sha256"])
                known = rollouts.targets.get(path)
                if known is not None and known.hashes == target.hashes:
                    continue
                self._write_target(path, target.hashes["sha256"], content)
                rollouts.targets[path] = target
                changed = True
            if changed:
                self._sign(now, rollouts=rollouts)
            return changed

    def refresh(self, now: datetime) -> None:
        """Sign again what is no longer fresh, and drop metadata that nobody asks for any more."""
        with self._alone():
            timestamp, snapshot = self._timestamp(), self._snapshot()
            rollouts = self._rollouts(now)
            if timestamp is None or snapshot is None:
                self._sign(now, targets=1, rollouts=rollouts)
                return
            if min(snapshot.expires, rollouts.expires) - now < SNAPSHOT_LIFETIME - SNAPSHOT_AGE:
                self._sign(now, rollouts=rollouts)
            elif timestamp.expires - now < TIMESTAMP_LIFETIME - TIMESTAMP_AGE:
                self._sign_timestamp(now, timestamp, snapshot.version)
            self._sweep(snapshot)

    # reading -------------------------------------------------------------------------------

    def _root_path(self) -> Path:
        versions = [
            int(path.name.split(".", 1)[0]) for path in self.metadata_folder.glob("*.root.json")
        ]
        return self._path("root", max(versions))

    def _path(self, role: str, version: int) -> Path:
        return self.metadata_folder / f"{version}.{role}.json"

    def _root(self) -> Metadata[Root]:
        return Metadata[Root].from_bytes(self.root())

    def _timestamp(self) -> Timestamp | None:
        path = self.metadata_folder / "timestamp.json"
        return Metadata[Timestamp].from_file(str(path)).signed if path.exists() else None

    def _snapshot(self) -> Snapshot | None:
        timestamp = self._timestamp()
        if timestamp is None:
            return None
        path = self._path("snapshot", timestamp.snapshot_meta.version)
        return Metadata[Snapshot].from_file(str(path)).signed

    def _rollouts(self, now: datetime) -> Targets:
        snapshot = self._snapshot()
        known = snapshot.meta.get(f"{ROLLOUTS}.json") if snapshot else None
        if known is None:
            return _unsigned(Targets(expires=_later(now, SNAPSHOT_LIFETIME)))
        path = self._path(ROLLOUTS, known.version)
        return Metadata[Targets].from_file(str(path)).signed

    # writing -------------------------------------------------------------------------------

    def _check_delegation(self, targets: Targets) -> None:
        """Let pass what leaves the server exactly the rollouts.

        Raises:
            MetadataRefused: gateways would not find what the server signs, or it could sign more.
        """
        roles = (targets.delegations.roles if targets.delegations else None) or {}
        role: DelegatedRole | None = roles.get(ROLLOUTS)
        fits = (
            set(roles) == {ROLLOUTS}
            and role is not None
            and role.paths == ROLLOUT_PATHS
            and role.terminating
            and role.threshold == 1
            and role.keyids == [self._signer.public_key.keyid]
        )
        if not fits:
            raise MetadataRefused(
                f"targets: must delegate {ROLLOUT_PATHS[0]} to this server's key and nothing else"
            )
        strange = [path for path in targets.targets if not is_target(path)]
        if strange:
            raise MetadataRefused(f"targets: {strange[0]} is no model nor configuration")

    def _take(self, path: str, target: TargetFile, files: Mapping[str, bytes]) -> None:
        digest = target.hashes.get("sha256", "")
        stored = self._target_path(path, digest)
        if stored.exists():
            return
        content = files.get(path)
        if content is None:
            raise MetadataRefused(f"{path}: signed, but its content was not sent")
        if len(content) > MAX_TARGET_BYTES:
            raise MetadataRefused(f"{path}: more than {MAX_TARGET_BYTES} bytes")
        try:
            target.verify_length_and_hashes(content)
        except LengthOrHashMismatchError as error:
            raise MetadataRefused(f"{path}: {error}") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise MetadataRefused(f"{path}: signed without its SHA-256")
        self._write_target(path, digest, content)

    def _target_path(self, path: str, digest: str) -> Path:
        folder, _, name = path.rpartition("/")
        return self.targets_folder / folder / f"{digest}.{name}"

    def _write_target(self, path: str, digest: str, content: bytes) -> None:
        stored = self._target_path(path, digest)
        stored.parent.mkdir(parents=True, exist_ok=True)
        write_whole(stored, content)

    def _write(self, name: str, content: bytes) -> None:
        write_whole(self.metadata_folder / name, content)

    def _sign(self, now: datetime, *, targets: int = 0, rollouts: Targets | None = None) -> None:
        """Sign a new snapshot, with new rollouts when given, and the timestamp for it."""
        timestamp, snapshot = self._timestamp(), self._snapshot()
        following = _unsigned(Snapshot()) if snapshot is None else snapshot
        if snapshot is None and rollouts is None:
            rollouts = self._rollouts(now)
        if rollouts is not None:
            rollouts.version += 1
            rollouts.expires = _later(now, SNAPSHOT_LIFETIME)
            self._write_signed(f"{rollouts.version}.{ROLLOUTS}.json", rollouts)
            following.meta[f"{ROLLOUTS}.json"] = MetaFile(rollouts.version)
        if targets:
            following.meta["targets.json"] = MetaFile(targets)
        following.version += 1
        following.expires = _later(now, SNAPSHOT_LIFETIME)
        self._write_signed(f"{following.version}.snapshot.json", following)
        self._sign_timestamp(now, timestamp, following.version)

    def _sign_timestamp(self, now: datetime, timestamp: Timestamp | None, snapshot: int) -> None:
        following = _unsigned(Timestamp()) if timestamp is None else timestamp
        following.version += 1
        following.expires = _later(now, TIMESTAMP_LIFETIME)
        following.snapshot_meta = MetaFile(snapshot)
        self._write_signed("timestamp.json", following)

    def _write_signed(self, name: str, signed: Snapshot | Targets | Timestamp) -> None:
        metadata: Metadata[Any] = Metadata(signed)
        metadata.sign(self._signer)
        self._write(name, metadata.to_bytes())

    def _sweep(self, snapshot: Snapshot) -> None:
        newest = {
            "snapshot": snapshot.version,
            ROLLOUTS: snapshot.meta[f"{ROLLOUTS}.json"].version,
        }
        for role, version in newest.items():
            for path in self.metadata_folder.glob(f"*.{role}.json"):
                if int(path.name.split(".", 1)[0]) <= version - _KEPT_VERSIONS:
                    path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads and other servers on this folder out."""
        with self._lock, self._lock_path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _unsigned(payload: S) -> S:
    """Return metadata as it is before its first version."""
    payload.version = 0
    return payload


def _parsed(content: bytes, kind: type[S]) -> Metadata[S]:
    try:
        metadata = Metadata[S].from_bytes(content)
    except (RepositoryError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MetadataRefused(f"{kind.type}: cannot be read: {error}") from error
    if not isinstance(metadata.signed, kind):
        raise MetadataRefused(f"{kind.type}: this is {metadata.signed.type} metadata")
    return metadata


def _all(targets: Targets) -> list[Target]:
    return [
        Target(path=path, sha256=target.hashes["sha256"], size_bytes=target.length)
        for path, target in targets.targets.items()
    ]


def _later(now: datetime, lifetime: timedelta) -> datetime:
    # The format has whole seconds.
    return (now + lifetime).replace(microsecond=0)
