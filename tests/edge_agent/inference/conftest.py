"""A store of models as a check for updates leaves it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_agent.inference import MODELS
from edge_agent.updates.store import CARD, MODEL, Artefact, Slot, Store


@dataclass
class FanStore:
    """Models of the class `fan`, made of the shipped one with other cards."""

    store: Store

    def artefact(self, version: str, **card: Any) -> Artefact:
        said = json.loads((MODELS / "fan.json").read_text(encoding="utf-8"))
        with self.store.staging() as folder:
            shutil.copy(MODELS / "fan.tflite", folder / MODEL)
            (folder / CARD).write_text(json.dumps({**said, "version": version, **card}))
            files = {name: self.store.take(folder / name) for name in (MODEL, CARD)}
        return Artefact(version=version, files=files, rollout=f"rollouts/{version}")

    def put(self, **slot: Any) -> None:
        with self.store.changing() as change:
            change.put("model", "fan", Slot(**slot))

    @property
    def slot(self) -> Slot:
        return self.store.manifest().slot("model", "fan")

    def damage(self, artefact: Artefact) -> None:
        path = self.store.path(artefact, MODEL)
        path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.fixture
def fans(tmp_path: Path) -> FanStore:
    """A store that holds nothing yet."""
    return FanStore(Store(tmp_path / "updates"))
