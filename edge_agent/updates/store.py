"""What a gateway was sent: contents by their SHA-256, and one manifest that says which count.

The manifest is replaced whole, and last: a content that no manifest names is only disk space. So
whoever is killed at whatever step leaves either the old state or the new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec
import structlog

from edge_agent import durable

log = structlog.get_logger(__name__)

Kind = Literal["model", "configuration"]
MODEL: Final = "model.tflite"
CARD: Final = "model.json"
CONFIGURATION: Final = "gateway.toml"


class StoreError(RuntimeError):
    """A content is missing, or is not what its name says."""


class Artefact(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a model or a configuration; `files` maps a name to its SHA-256."""

    version: str
    files: dict[str, str]
    rollout: str = ""
    since_ms: int = 0

    @property
    def digest(self) -> str:
        """A name for the contents as a whole."""
        parts = "".join(f"{name}:{self.files[name]}\n" for name in sorted(self.files))
        return hashlib.sha256(parts.encode()).hexdigest()


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is not tried again as long as the rollout offers the same."""

    version: str
    rollout: str
    digest: str
    reason: str
    at_ms: int

    @classmethod
    def of(cls, artefact: Artefact, reason: str, at_ms: int) -> Refusal:
        """Refuse a version."""
        return cls(
            version=artefact.version,
            rollout=artefact.rollout,
            digest=artefact.digest,
            reason=reason,
            at_ms=at_ms,
        )


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent has of one equipment class, or of its configuration.

    Without `current` the one that came with the agent counts. `starts` are those of the agent on
    which the trial ended before its verdict, `deaths` its ends soon after a start with `current`.
    """

    current: Artefact | None = None
    previous: Artefact | None = None
    trial: Artefact | None = None
    starts: int = 0
    deaths: int = 0
    refused: Refusal | None = None

    def tried(self, artefact: Artefact) -> Slot:
        """Put a version on trial."""
        return msgspec.structs.replace(self, trial=artefact, starts=0)

    def started(self, step: int) -> Slot:
        """Count a start on trial, or with -1 take it back."""
        return msgspec.structs.replace(self, starts=max(0, self.starts + step))

    def kept(self, now_ms: int) -> Slot:
        """The trial went well: it counts, and what counted is what to fall back to."""
        assert self.trial is not None
        adopted = msgspec.structs.replace(self.trial, since_ms=now_ms)
        return Slot(current=adopted, previous=self.current)

    def dropped(self, reason: str, now_ms: int) -> Slot:
        """The trial went badly: everything stays as it was, and that version away."""
        assert self.trial is not None
        refused = Refusal.of(self.trial, reason, now_ms)
        return msgspec.structs.replace(self, trial=None, starts=0, refused=refused)

    def died(self, deaths: int) -> Slot:
        """Say how often the agent died soon after a start with what counts."""
        return msgspec.structs.replace(self, deaths=deaths)

    def fallen_back(self, reason: str, now_ms: int) -> Slot:
        """What counts went badly in use: the one before counts again, the trial goes on."""
        assert self.current is not None
        refused = Refusal.of(self.current, reason, now_ms)
        return Slot(current=self.previous, trial=self.trial, starts=self.starts, refused=refused)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that counts; `models` by equipment class, `configurations` by name."""

    schema: Literal[1] = 1
    models: dict[str, Slot] = msgspec.field(default_factory=dict)
    configurations: dict[str, Slot] = msgspec.field(default_factory=dict)

    def slots(self, kind: Kind) -> dict[str, Slot]:
        """Return the slots of a kind, by name."""
        return self.models if kind == "model" else self.configurations

    def slot(self, kind: Kind, name: str) -> Slot:
        """Return a slot, an empty one when nothing ever came."""
        return self.slots(kind).get(name, Slot())

    def with_slot(self, kind: Kind, name: str, slot: Slot) -> Manifest:
        """Return the manifest with a slot put in."""
        slots = {**self.slots(kind), name: slot}
        if kind == "model":
            return msgspec.structs.replace(self, models=slots)
        return msgspec.structs.replace(self, configurations=slots)

    def contents(self) -> set[str]:
        """Return the SHA-256 of everything that is named."""
        return {
            digest
            for slots in (self.models, self.configurations)
            for slot in slots.values()
            for artefact in (slot.current, slot.previous, slot.trial)
            if artefact is not None
            for digest in artefact.files.values()
        }


class Store:
    """The folder of one agent's updates."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is made before something comes."""
        self.folder = folder
        self._manifest = folder / "manifest.json"
        self._contents = folder / "contents"
        self._staging = folder / "staging"

    @property
    def metadata(self) -> Path:
        """Where the repository's metadata lies."""
        return self.folder / "metadata"

    def manifest(self) -> Manifest:
        """Return what counts; an empty manifest, and a log line why, when it cannot be read."""
        try:
            return msgspec.json.decode(self._manifest.read_bytes(), type=Manifest)
        except FileNotFoundError:
            return Manifest()
        except (OSError, msgspec.DecodeError) as error:
            log.error("manifest of the updates cannot be read", reason=str(error))
            return Manifest()

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """Hold the manifest against other processes; what `Change.manifest` is at the end counts.

        Raises:
            OSError: the disk refused; nothing has changed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.manifest()
            change = Change(before)
            yield change
            if change.manifest != before:
                text = msgspec.json.format(msgspec.json.encode(change.manifest), indent=1)
                durable.write(self._manifest, text + b"\n")

    def path(self, artefact: Artefact, name: str) -> Path:
        """Return where a file of a version lies, checked against its SHA-256.

        Raises:
            StoreError: it is not there, or not what it was.
        """
        digest = artefact.files.get(name, "")
        path = self._contents / digest
        try:
            found = sha256_of(path)
        except OSError as error:
            raise StoreError(f"{name} of version {artefact.version}: {error}") from error
        if found != digest:
            raise StoreError(f"{name} of version {artefact.version}: its content was damaged")
        return path

    def has(self, digest: str) -> bool:
        """Say whether a content is there and sound."""
        try:
            self.path(Artefact(version="", files={"": digest}), "")
        except StoreError:
            return False
        return True

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Lend a folder on the same disk, gone afterwards."""
        self._staging.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._staging) as folder:
            yield Path(folder)

    def take(self, staged: Path) -> str:
        """Move a staged file to the contents, durably; return its SHA-256."""
        with staged.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        self._contents.mkdir(parents=True, exist_ok=True)
        os.replace(staged, self._contents / digest)
        durable.sync_folder(self._contents)
        return digest

    def sweep(self) -> int:
        """Remove what nothing names: old versions, and what a kill left; return how many files.

        Not while another process stages.
        """
        removed = 0
        with self.changing() as change:
            named = change.manifest.contents()
            stray = [path for path in _files(self._contents) if path.name not in named]
            # Half-written files of ours, and of the TUF client.
            stray += [
                path
                for folder in (self.folder, self.metadata)
                for path in _files(folder)
                if path.name.startswith((".new-", "tmp"))
            ]
            if self._staging.is_dir():
                stray += [path for path in self._staging.rglob("*") if path.is_file()]
            for path in stray:
                path.unlink(missing_ok=True)
                removed += 1
        shutil.rmtree(self._staging, ignore_errors=True)
        return removed


class Change:
    """A manifest in somebody's hands."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    def put(self, kind: Kind, name: str, slot: Slot) -> None:
        """Replace one slot."""
        self.manifest = self.manifest.with_slot(kind, name, slot)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sound(store: Store, slot: Slot) -> Iterator[tuple[Artefact, Mapping[str, Path]]]:
    """Yield what counts and then what counted before, as far as their contents are sound."""
    for artefact in (slot.current, slot.previous):
        if artefact is None:
            continue
        try:
            yield artefact, {name: store.path(artefact, name) for name in artefact.files}
        except StoreError as error:
            log.error("a version that was installed cannot be used", reason=str(error))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
