"""Attacks on updates, against a real server: each is refused, and the old model goes on."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from edge_agent.drivers.base import Device
from edge_agent.inference.model_store import ModelStore
from edge_agent.updates import UpdatesTable
from edge_agent.updates.store import Store
from firmware_sim.driver import create

FAN = {"kind": "model", "equipment_class": "fan", "rollout": "r2", "version": "2"}
OLD = "autoencoder-fan@1.5"


@pytest.fixture(scope="module")
def fan() -> Device:
    return next(d for d in create({"scenario": "healthy"}).devices() if d.tag == "F-201")


def label(store: Store, fan: Device) -> str:
    """Return the model that an agent would begin with."""
    scorer = ModelStore(store, UpdatesTable(server="http://127.0.0.1:1")).scorer_for(fan)
    assert scorer is not None
    return scorer.model


class Attacked:
    """A gateway with version 1.5 from the air, and version 2 on its way through an attacker."""

    def __init__(self, gateway: Any, repository: Any, weights: bytes) -> None:
        self.gateway, self.repository, self.weights = gateway, repository, weights
        repository.add_model("fan", "1.5", weights)
        repository.roll_out("riverside", {**FAN, "version": "1.5", "rollout": "r1"})
        repository.publish()
        assert gateway.check().result == "good"
        with gateway.store.changing() as change:
            slot = change.manifest.slot("model", "fan")
            change.put("model", "fan", slot.kept(0))
        repository.asked.clear()

    @property
    def metadata(self) -> Path:
        return Path(self.repository.folder) / "v1/updates/metadata"

    @property
    def target(self) -> Path:
        """The new weights as they are served."""
        folder = Path(self.repository.folder) / "v1/updates/targets/models/fan/2"
        return next(folder.glob("*.model.tflite"))

    def prepare(self, **card: Any) -> None:
        """Sign version 2 and roll it out."""
        self.repository.add_model("fan", "2", self.weights + b"new", **card)
        self.repository.roll_out("riverside", FAN)
        self.repository.publish()

    def sign_by_stranger(self, role: str) -> None:
        from securesystemslib.signer import CryptoSigner

        stranger = CryptoSigner.generate_ed25519()
        metadata = self.repository.roles[role]
        key = next(iter(metadata.signatures))
        metadata.sign(stranger)
        metadata.signatures[key] = metadata.signatures.pop(stranger.public_key.keyid)
        metadata.signatures[key].keyid = key
        self.repository.write(role, metadata.to_bytes())


@pytest.fixture
def attacked(updated_gateway: Any, update_repository: Any, shipped: Any) -> Attacked:
    return Attacked(updated_gateway, update_repository, shipped("fan"))


Answer = Callable[[SimpleHTTPRequestHandler], None]


def endless(handler: SimpleHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):
        while True:
            handler.wfile.write(b" " * 65536)


def trickle(handler: SimpleHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.05)


def endless_headers(handler: SimpleHTTPRequestHandler) -> None:
    with suppress(OSError):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.05)


def silence(handler: SimpleHTTPRequestHandler) -> None:
    handler.connection.settimeout(10)
    with suppress(OSError):
        handler.rfile.read(1)


def unsigned(it: Attacked, role: str) -> None:
    it.prepare()
    metadata = it.repository.roles[role]
    metadata.signatures.clear()
    it.repository.write(role, metadata.to_bytes())


def wrong_key(it: Attacked, role: str) -> None:
    it.prepare()
    it.sign_by_stranger(role)


def rolled_back(it: Attacked) -> None:
    aside = it.metadata.with_name("older")
    shutil.copytree(it.metadata, aside)
    it.prepare(limit=3.0)
    assert it.gateway.check().result == "good"  # on trial only
    shutil.rmtree(it.metadata)
    aside.rename(it.metadata)


def rolled_back_rollouts(it: Attacked) -> None:
    """Even who has the online key cannot bring back rollouts that the gateway has left behind."""
    it.prepare()
    it.repository.publish("rollouts")
    assert it.gateway.check().result == "good"
    it.repository.roles["rollouts"].signed.version -= 2
    it.repository.publish("rollouts")


def frozen(it: Attacked) -> None:
    it.prepare()
    it.repository.roles["timestamp"].signed.expires = datetime.now(UTC).replace(
        microsecond=0
    ) - timedelta(seconds=1)
    it.repository.publish()


def mixed(it: Attacked) -> None:
    older = (
        it.metadata / f"{it.repository.roles['targets'].signed.version}.targets.json"
    ).read_bytes()
    it.prepare()
    it.repository.write("targets", older)


def truncated(it: Attacked) -> None:
    it.prepare()
    os.truncate(it.target, it.target.stat().st_size // 2)


def other_content(it: Attacked) -> None:
    it.prepare()
    it.target.write_bytes(it.target.read_bytes()[:-1] + b"!")


def longer_content(it: Attacked) -> None:
    it.prepare()
    it.target.write_bytes(it.target.read_bytes() + b"!")


def outside_its_path(it: Attacked) -> None:
    """The online key signs a model, which only the offline key may."""
    it.repository.add("models/fan/2/model.tflite", it.weights, "rollouts")
    it.repository.add("models/fan/2/model.json", b"{}", "rollouts")
    it.repository.roll_out("riverside", FAN)
    it.repository.publish()


def answered(end: str, answer: Answer) -> Callable[[Attacked], None]:
    def attack(it: Attacked) -> None:
        it.prepare()
        it.repository.answers[end] = answer

    return attack


def new_root_of_a_stranger(it: Attacked) -> None:
    it.prepare()
    it.repository.roles["root"].signed.version += 1
    it.sign_by_stranger("root")


def climbing_out(it: Attacked) -> None:
    it.repository.roll_out("riverside", {**FAN, "version": "../../../etc"})
    it.repository.publish()


def too_large(it: Attacked) -> None:
    it.weights = bytes(2_000_000)
    it.prepare()


def no_rollouts(it: Attacked) -> None:
    it.repository.add("rollouts/riverside.json", b'[{"kind": "firmware"}]', "rollouts")
    it.repository.publish()


def not_a_model(it: Attacked) -> None:
    it.weights = b"TFL3 but nothing more"
    it.prepare()


def other_card(it: Attacked) -> None:
    it.prepare(equipment_class="conveyor")


def card_of_nonsense(it: Attacked) -> None:
    it.prepare(scale=[0.0] * 52)


ATTACKS: dict[str, tuple[Callable[[Attacked], None], str]] = {
    **{
        f"unsigned {role}": (lambda it, role=role: unsigned(it, role), "UnsignedMetadataError")
        for role in ("timestamp", "snapshot", "targets", "rollouts")
    },
    **{
        f"wrong key {role}": (lambda it, role=role: wrong_key(it, role), "UnsignedMetadataError")
        for role in ("timestamp", "snapshot", "targets", "rollouts")
    },
    "root of a stranger": (new_root_of_a_stranger, "UnsignedMetadataError"),
    "rollback": (rolled_back, "BadVersionNumberError"),
    "rollback of rollouts": (rolled_back_rollouts, "BadVersionNumberError"),
    "freeze": (frozen, "expired"),
    "mix and match": (mixed, "BadVersionNumberError"),
    "truncated target": (truncated, "LengthOrHashMismatchError"),
    "other content": (other_content, "LengthOrHashMismatchError"),
    "longer content": (longer_content, "exceeding the maximum"),
    "endless timestamp": (answered("timestamp.json", endless), "exceeding the maximum"),
    "endless target": (answered("model.tflite", endless), "exceeding the maximum"),
    "trickling timestamp": (answered("timestamp.json", trickle), "too slow"),
    "trickling target": (answered("model.tflite", trickle), "too slow"),
    "endless headers": (answered("timestamp.json", endless_headers), "too slow"),
    "silence": (answered("timestamp.json", silence), "too slow"),
    "outside its path": (outside_its_path, "nobody who may has signed it"),
    "climbing out of the folder": (climbing_out, "rollouts:"),
    "larger than allowed": (too_large, "bytes are more than"),
    "no rollouts": (no_rollouts, "rollouts:"),
    "not a model": (not_a_model, "not a TFLite model"),
    "card of another class": (other_card, "its card says equipment_class 'conveyor'"),
    "card of nonsense": (card_of_nonsense, "a scale not positive"),
}  # fmt: skip


@pytest.fixture(scope="module")
def tally() -> Iterator[dict[str, int]]:
    """How many attacks there were and how many were refused; printed at the end."""
    counts = {"attacks on updates": 0, "refused": 0}
    yield counts
    print("\n" + ", ".join(f"{name}: {count}" for name, count in counts.items()))  # noqa: T201


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_the_old_model_goes_on(
    name: str, attacked: Attacked, fan: Device, tally: dict[str, int]
) -> None:
    attack, reason = ATTACKS[name]
    tally["attacks on updates"] += 1
    attack(attacked)
    before = attacked.gateway.store.manifest().models["fan"]

    outcome = attacked.gateway.check()

    reasons = [outcome.reason, *(f.reason for f in outcome.findings if f.what == "refused")]
    assert any(reason in said for said in reasons), (outcome, reasons)
    after = attacked.gateway.store.manifest().models["fan"]
    assert (after.current, after.trial) == (before.current, before.trial)
    assert label(attacked.gateway.store, fan) == OLD
    tally["refused"] += 1


def test_after_an_attack_the_true_repository_still_counts(attacked: Attacked, fan: Device) -> None:
    attacked.prepare()
    attacked.repository.answers["timestamp.json"] = endless
    assert attacked.gateway.check().result == "refused"
    del attacked.repository.answers["timestamp.json"]

    outcome = attacked.gateway.check()

    assert [(f.version, f.what) for f in outcome.findings] == [("2", "on trial")]
