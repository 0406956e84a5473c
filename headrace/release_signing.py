"""The offline side of releases: making keys, and signing what may be rolled out.

Nothing here is needed on the server; a folder of keys can live on a machine without a network. It
keeps the metadata it signed last, so that it never builds on what a server says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]
    DelegatedRole,
    Delegations,
    Metadata,
    Root,
    TargetFile,
    Targets,
)

from cloud_api.updates import ONLINE_KEY, ROLLOUT_PATHS, ROLLOUTS, UpdateRepository

OFFLINE: Final = "offline"
SERVER: Final = "server"
ROOT_LIFETIME: Final = timedelta(days=730)
TARGETS_LIFETIME: Final = timedelta(days=365)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


class SigningError(RuntimeError):
    """Keys or files cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Signed:
    """Targets metadata with the files that are new in it."""

    targets: bytes
    files: Mapping[str, bytes]


def make_keys(folder: Path, root_keys: int = 1, threshold: int = 1, passphrase: str = "") -> None:
    """Make the keys of a new repository: `offline/` for a safe, `server/` for the server.

    Raises:
        SigningError: the folder is not empty, or so many signatures can never come together.
    """
    if not 1 <= threshold <= root_keys <= 9:
        raise SigningError(f"{threshold} of {root_keys} root keys: ask for 1 to 9, and no more")
    if folder.exists() and any(folder.iterdir()):
        raise SigningError(f"{folder}: is not empty, keys are never overwritten")
    offline, server = folder / OFFLINE, folder / SERVER
    for one in (offline, server, server / "metadata"):
        one.mkdir(parents=True, mode=0o700)
    roots = [_new_key(offline / f"root-{n}.key", passphrase) for n in range(1, root_keys + 1)]
    owner = _new_key(offline / "targets.key", passphrase)
    online = _new_key(server / ONLINE_KEY, "")

    root = Root(expires=_in(ROOT_LIFETIME), consistent_snapshot=True)
    for signer in roots:
        root.add_key(signer.public_key, Root.type)
    root.roles[Root.type].threshold = threshold
    root.add_key(owner.public_key, Targets.type)
    for role in ("snapshot", "timestamp"):
        root.add_key(online.public_key, role)
    _write(server / "metadata" / "1.root.json", _signed(root, roots))

    key = online.public_key
    delegated = DelegatedRole(ROLLOUTS, [key.keyid], 1, True, ROLLOUT_PATHS)
    delegations = Delegations({key.keyid: key}, {ROLLOUTS: delegated})
    targets = Targets(expires=_in(TARGETS_LIFETIME), delegations=delegations)
    content = _signed(targets, [owner])
    _write(server / "metadata" / "1.targets.json", content)
    _write(offline / "targets.json", content)
    UpdateRepository(server).refresh(datetime.now(UTC))


def install(folder: Path, target: Path) -> None:
    """Copy the server's part of the keys to where the server looks for it.

    Raises:
        SigningError: there is a repository already.
    """
    if target.exists():
        raise SigningError(f"{target}: there is a repository already")
    draft = target.with_name(f".{target.name}")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(folder / SERVER, draft)
    draft.chmod(0o700)
    draft.rename(target)


def next_root(folder: Path, current: bytes, passphrase: str = "") -> bytes:
    """Return the next root metadata, good for two more years, signed by every root key here.

    Raises:
        SigningError: the keys are not those of `current`, or too few.
    """
    root = Metadata[Root].from_bytes(current).signed
    root.version += 1
    root.expires = _in(ROOT_LIFETIME)
    signers = [_key(path, passphrase) for path in sorted((folder / OFFLINE).glob("root-*.key"))]
    mine = [s for s in signers if s.public_key.keyid in root.roles[Root.type].keyids]
    if len(mine) < root.roles[Root.type].threshold:
        raise SigningError(f"{folder}: {len(mine)} of the root keys, too few")
    return _signed(root, mine)


def sign(folder: Path, files: Mapping[str, bytes], passphrase: str = "") -> Signed:
    """Sign the next targets metadata with `files` added; `keep` it once it is published.

    Without files it only lasts longer.

    Raises:
        SigningError: the key or the metadata before cannot be used, or a file is there already
            with another content: a version never changes.
    """
    try:
        targets = Metadata[Targets].from_bytes(_last(folder).read_bytes()).signed
    except OSError as error:
        raise SigningError(f"{error.filename}: {error.strerror}") from error
    for path, content in files.items():
        target = TargetFile.from_data(path, content, ["sha256"])
        known = targets.targets.get(path)
        if known is not None and known.hashes != target.hashes:
            raise SigningError(f"{path}: is signed with another content; choose another version")
        targets.targets[path] = target
    targets.version += 1
    targets.expires = _in(TARGETS_LIFETIME)
    owner = _key(folder / OFFLINE / "targets.key", passphrase)
    return Signed(_signed(targets, [owner]), dict(files))


def offer(folder: Path, signed: Signed) -> None:
    """Remember what is about to be published: its answer may never be seen."""
    _write(_offered(folder), signed.targets)


def offered(folder: Path) -> Signed | None:
    """Return what was offered and neither kept nor withdrawn, without its files."""
    path = _offered(folder)
    return Signed(path.read_bytes(), {}) if path.exists() else None


def withdraw(folder: Path) -> None:
    """Forget what was offered."""
    _offered(folder).unlink(missing_ok=True)


def keep(folder: Path, signed: Signed) -> None:
    """Remember what was published, to build on it next time."""
    _write(_last(folder), signed.targets)
    withdraw(folder)


def model_files(weights: Path, card: Path) -> dict[str, bytes]:
    """Return the targets of a model; the card says of which class and version it is.

    Raises:
        SigningError: a file cannot be read, or the card does not say.
    """
    try:
        content, written = weights.read_bytes(), card.read_bytes()
        said: Any = json.loads(written)
        names = [said["equipment_class"], said["version"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SigningError(f"{card}: no card with equipment_class and version: {error}") from error
    base = "/".join(["models", *(_name(str(name)) for name in names)])
    return {f"{base}/model.tflite": content, f"{base}/model.json": written}


def configuration_files(name: str, version: str, gateway: Path) -> dict[str, bytes]:
    """Return the target of a configuration.

    Raises:
        SigningError: the file cannot be read, or a name will not do.
    """
    try:
        content = gateway.read_bytes()
    except OSError as error:
        raise SigningError(f"{gateway}: {error.strerror}") from error
    return {f"configurations/{_name(name)}/{_name(version)}/gateway.toml": content}


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise SigningError(f"{text!r}: write 1 to 60 letters, digits, points, lines")
    return text


def _last(folder: Path) -> Path:
    return folder / OFFLINE / "targets.json"


def _offered(folder: Path) -> Path:
    return folder / OFFLINE / "targets.offered.json"


def _in(lifetime: timedelta) -> datetime:
    return (datetime.now(UTC) + lifetime).replace(microsecond=0)


def _signed(payload: Root | Targets, signers: Sequence[CryptoSigner]) -> bytes:
    metadata: Metadata[Any] = Metadata(payload)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def _new_key(path: Path, passphrase: str) -> CryptoSigner:
    key = Ed25519PrivateKey.generate()
    protection: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )
    _write(path, pem)
    return CryptoSigner(key)


def _key(path: Path, passphrase: str) -> CryptoSigner:
    try:
        key = serialization.load_pem_private_key(
            path.read_bytes(), passphrase.encode() if passphrase else None
        )
    except (OSError, ValueError, TypeError) as error:
        raise SigningError(f"{path}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningError(f"{path}: not an Ed25519 key")
    return CryptoSigner(key)


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
