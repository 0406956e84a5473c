"""The update repository, read by The Update Framework's own client over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from tuf.api.metadata import Metadata, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater

from cloud_api.update_routes import update_routes
from cloud_api.updates import RepositoryMissingError, UpdateRepository
from erp_modules.fleet.errors import MetadataRefused
from erp_modules.fleet.release_service import MAX_TARGET_BYTES
from headrace import release_signing
from headrace.broker import free_port

FILES = {
    "models/fan/1.0/model.tflite": b"weights",
    "models/fan/1.0/model.json": b'{"equipment_class": "fan", "version": "1.0"}',
}


NEXT_WEEK = (datetime.now(UTC) + timedelta(days=7)).replace(microsecond=0)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    release_signing.make_keys(folder)
    release_signing.install(folder, tmp_path / "updates")
    return folder


@pytest.fixture
def repository(keys: Path, tmp_path: Path) -> UpdateRepository:
    return UpdateRepository(tmp_path / "updates")


@pytest.fixture
def url(repository: UpdateRepository) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            Starlette(routes=update_routes(repository)), port=port, log_config=None, lifespan="off"
        )
    )
    ready = threading.Event()
    startup = server.startup

    async def started(sockets: list[object] | None = None) -> None:
        await startup(sockets)  # type: ignore[arg-type]
        ready.set()

    server.startup = started  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(20)
    yield f"http://127.0.0.1:{port}/v1/updates"
    server.should_exit = True
    thread.join(20)


def updater(url: str, repository: UpdateRepository, folder: Path) -> Updater:
    """A gateway that knows the root only, or what it learned in `folder` before."""
    metadata = folder / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    return Updater(
        str(metadata),
        f"{url}/metadata/",
        str(folder),
        f"{url}/targets/",
        bootstrap=(repository.metadata_folder / "1.root.json").read_bytes(),
    )


def read(url: str, repository: UpdateRepository, folder: Path, path: str) -> bytes | None:
    client = updater(url, repository, folder)
    client.refresh()
    info = client.get_targetinfo(path)
    return None if info is None else Path(client.download_target(info)).read_bytes()


def publish(repository: UpdateRepository, keys: Path, files: dict[str, bytes]) -> None:
    signed = release_signing.sign(keys, files)
    repository.publish_targets(signed.targets, signed.files, now())
    release_signing.keep(keys, signed)


def test_a_client_reads_models_and_rollouts(
    url: str, repository: UpdateRepository, keys: Path, tmp_path: Path
) -> None:
    gateway = tmp_path / "gateway"
    assert read(url, repository, gateway, "rollouts/plant.json") is None
    publish(repository, keys, FILES)
    assert repository.publish_rollouts({"plant": b"[]", "halle-süd": b"[1]"}, now())
    assert read(url, repository, gateway, "models/fan/1.0/model.tflite") == b"weights"
    assert read(url, repository, gateway, "rollouts/plant.json") == b"[]"
    assert read(url, repository, gateway, "rollouts/halle-süd.json") == b"[1]"
    assert read(url, repository, gateway, "models/fan/2.0/model.tflite") is None
    repository.publish_rollouts({"plant": b"[2]"}, now())
    assert read(url, repository, gateway, "rollouts/plant.json") == b"[2]"


def versions(repository: UpdateRepository) -> tuple[int, int, int, int]:
    folder = repository.metadata_folder
    timestamp = Metadata[Timestamp].from_file(str(folder / "timestamp.json")).signed
    number = timestamp.snapshot_meta.version
    snapshot = Metadata[Snapshot].from_file(str(folder / f"{number}.snapshot.json")).signed
    meta = snapshot.meta
    return (
        timestamp.version,
        snapshot.version,
        meta["targets.json"].version,
        meta["rollouts.json"].version,
    )


def test_versions_only_grow_and_the_same_again_changes_nothing(
    repository: UpdateRepository, keys: Path
) -> None:
    assert versions(repository) == (1, 1, 1, 1)
    signed = release_signing.sign(keys, FILES)
    for _ in range(2):
        targets = repository.publish_targets(signed.targets, signed.files, now())
        assert sorted(one.path for one in targets) == sorted(FILES)
    assert versions(repository) == (2, 2, 2, 1)
    assert repository.publish_rollouts({"plant": b"[]"}, now())
    assert not repository.publish_rollouts({"plant": b"[]"}, now())
    assert versions(repository) == (3, 3, 2, 2)


def test_what_would_expire_is_signed_again(repository: UpdateRepository) -> None:
    repository.refresh(now())
    assert versions(repository) == (1, 1, 1, 1)
    repository.refresh(now() + timedelta(hours=2))
    assert versions(repository) == (2, 1, 1, 1)
    repository.refresh(now() + timedelta(days=2))
    assert versions(repository) == (3, 2, 1, 2)
    for day in range(3, 100):
        repository.refresh(now() + timedelta(days=2 * day))
    assert len(list(repository.metadata_folder.glob("*.snapshot.json"))) <= 65


def forged(keys: Path, change: object, signer_folder: Path) -> bytes:
    """The next targets metadata, changed, signed with the key of another folder."""
    metadata = Metadata[Targets].from_bytes((keys / "offline/targets.json").read_bytes())
    metadata.signed.version += 1
    change(metadata.signed)  # type: ignore[operator]
    return release_signing._signed(
        metadata.signed, [release_signing._key(signer_folder / "offline/targets.key", "")]
    )


def rolled_back(targets: Targets) -> None:
    targets.version, targets.expires = 1, NEXT_WEEK


def more_power(targets: Targets) -> None:
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    targets.delegations.roles["rollouts"].paths = ["*", "models/*/*/*"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda targets: None, "signed by 0/1"),
        (lambda targets: setattr(targets, "expires", now().replace(microsecond=0)), "expired"),
        (lambda targets: setattr(targets, "version", 9), "cannot follow"),
        (rolled_back, "cannot follow"),
        (lambda targets: setattr(targets, "delegations", None), "must delegate"),
        (more_power, "must delegate"),
        (
            lambda targets: targets.targets.update(
                {"rollouts/plant.json": TargetFile.from_data("x", b"[]", ["sha256"])}
            ),
            "no model nor configuration",
        ),
        (
            lambda targets: targets.targets.update(
                {"models/fan/2/model.tflite": TargetFile.from_data("x", b"w", ["sha256"])}
            ),
            "content was not sent",
        ),
    ],
    ids=[
        "wrong key",
        "expired",
        "skips",
        "rolls back",
        "no delegation",
        "wider",
        "rollouts",
        "bare",
    ],
)
def test_the_server_refuses_what_must_not_follow(
    repository: UpdateRepository, keys: Path, tmp_path: Path, change: object, why: str
) -> None:
    thief = tmp_path / "thief"
    release_signing.make_keys(thief)
    content = forged(keys, change, thief if why == "signed by 0/1" else keys)
    with pytest.raises(MetadataRefused, match=why):
        repository.publish_targets(content, {}, now())
    assert versions(repository) == (1, 1, 1, 1)


def test_a_file_other_than_signed_is_refused(repository: UpdateRepository, keys: Path) -> None:
    signed = release_signing.sign(keys, FILES)
    files = {**FILES, "models/fan/1.0/model.tflite": b"WEIGHTS"}
    with pytest.raises(MetadataRefused, match=r"model\.tflite"):
        repository.publish_targets(signed.targets, files, now())
    with pytest.raises(MetadataRefused, match="cannot be read"):
        repository.publish_targets(b"{}", {}, now())


def test_the_server_alone_cannot_make_a_model(
    url: str, repository: UpdateRepository, keys: Path, tmp_path: Path
) -> None:
    """With every key of the server a model is still none that a gateway takes."""
    publish(repository, keys, FILES)
    rollouts = repository._rollouts(now())
    path = "models/fan/6.6/model.tflite"
    rollouts.targets[path] = TargetFile.from_data(path, b"evil", ["sha256"])
    repository._write_target(path, rollouts.targets[path].hashes["sha256"], b"evil")
    repository._sign(now(), rollouts=rollouts)
    assert read(url, repository, tmp_path / "gateway", path) is None


def test_the_root_is_renewed_by_its_own_keys_only(
    url: str, repository: UpdateRepository, keys: Path, tmp_path: Path
) -> None:
    thief = tmp_path / "thief"
    release_signing.make_keys(thief)
    with pytest.raises(MetadataRefused):
        repository.publish_root((thief / "server/metadata/1.root.json").read_bytes())
    with pytest.raises(release_signing.SigningError, match="too few"):
        release_signing.next_root(thief, repository.root())
    repository.publish_root(release_signing.next_root(keys, repository.root()))
    assert json.loads(repository.root())["signed"]["version"] == 2
    repository.publish_rollouts({"plant": b"[]"}, now())
    assert read(url, repository, tmp_path / "gateway", "rollouts/plant.json") == b"[]"


def test_two_of_three_root_keys_under_a_passphrase(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    release_signing.make_keys(folder, root_keys=3, threshold=2, passphrase="open sesame")
    current = (folder / "server/metadata/1.root.json").read_bytes()
    with pytest.raises(release_signing.SigningError):
        release_signing.next_root(folder, current, "wrong")
    release_signing.install(folder, tmp_path / "updates")
    repository = UpdateRepository(tmp_path / "updates")
    (folder / "offline/root-1.key").unlink()
    repository.publish_root(release_signing.next_root(folder, current, "open sesame"))
    (folder / "offline/root-2.key").unlink()
    with pytest.raises(release_signing.SigningError, match="too few"):
        release_signing.next_root(folder, repository.root(), "open sesame")
    for path in (folder / "offline").iterdir():
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "path",
    [
        "metadata/../online.key",
        "metadata/%2e%2e%2fonline.key",
        "metadata/online.key",
        "metadata/.timestamp.json.1",
        "metadata/1.online.json",
        "metadata/0.root.json",
        "targets/../online.key",
        "targets/models/../../online.key",
        f"targets/models/..%2f..%2f{'0' * 64}.x",
        f"targets/models/../{'0' * 64}.x",
        f"targets//etc/{'0' * 64}.passwd",
        f"targets/models/%00/{'0' * 64}.x",
        f"targets/rollouts/{'0' * 64}.{'%F0%9F%98%80' * 60}.json",
        "targets/models/fan/1.0/model.tflite",
    ],
)
def test_nothing_but_the_repositorys_files_is_served(
    url: str, repository: UpdateRepository, keys: Path, path: str
) -> None:
    publish(repository, keys, FILES)
    # As it is, where a client would tidy the path first.
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request("GET", f"{urlsplit(url).path}/{path}")
    answer = connection.getresponse()
    assert answer.status == 404
    assert answer.getheader("content-type") in (
        "application/problem+json",
        "text/plain; charset=utf-8",
    )
    connection.close()


def test_only_what_never_changes_may_be_cached(
    url: str, repository: UpdateRepository, keys: Path
) -> None:
    publish(repository, keys, FILES)
    digest = TargetFile.from_data("x", b"weights", ["sha256"]).hashes["sha256"]
    immutable = httpx.get(f"{url}/targets/models/fan/1.0/{digest}.model.tflite", trust_env=False)
    assert immutable.content == b"weights"
    assert "immutable" in immutable.headers["cache-control"]
    for name, changes in (("timestamp.json", True), ("2.targets.json", False)):
        answer = httpx.get(f"{url}/metadata/{name}", trust_env=False)
        assert answer.status_code == 200
        assert ("no-cache" in answer.headers["cache-control"]) is changes
    assert httpx.post(f"{url}/metadata/timestamp.json", trust_env=False).status_code == 405


async def test_without_a_repository_the_door_says_so() -> None:
    app = httpx.ASGITransport(Starlette(routes=update_routes(None)))
    async with httpx.AsyncClient(transport=app, base_url="http://server") as client:
        answer = await client.get("/v1/updates/metadata/timestamp.json")
    assert answer.status_code == 404
    assert "timestamp.json" in answer.json()["detail"]


def test_a_file_that_is_too_large_is_refused(
    repository: UpdateRepository, keys: Path, tmp_path: Path
) -> None:
    files = {"models/fan/1.0/model.tflite": bytes(MAX_TARGET_BYTES + 1)}
    with pytest.raises(MetadataRefused, match=str(MAX_TARGET_BYTES)):
        publish(repository, keys, files)
    publish(repository, keys, {"models/fan/1.0/model.tflite": bytes(MAX_TARGET_BYTES)})


def test_what_the_server_signs_with_is_its_owners(repository: UpdateRepository) -> None:
    key = repository.metadata_folder.parent / "online.key"
    assert key.stat().st_mode & 0o077 == 0
    assert key.parent.stat().st_mode & 0o077 == 0


def test_without_a_repository_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(RepositoryMissingError):
        UpdateRepository(tmp_path)
