"""What is known of a model beside its weights: scaling, limit, and how well it does."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class ModelCard:
    """The card that lies beside `{equipment_class}.tflite` as `{equipment_class}.json`.

    `mean` and `scale` normalise each feature; a normalised feature is cut off at ± `clip`. `limit`
    is the reconstruction error (root mean square over the features) that scores 1.0.
    """

    name: str
    version: str
    equipment_class: str
    features: list[str]
    mean: list[float]
    scale: list[float]
    clip: float
    limit: float
    data: dict[str, Any] = field(default_factory=dict)
    size_bytes: int = 0
    parameters: int = 0
    scores: dict[str, Any] = field(default_factory=dict)
    provenance: str = ""

    @property
    def label(self) -> str:
        """Name and version, as births and advisories carry it."""
        return f"{self.name}@{self.version}"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card.

        Raises:
            ValueError: it is no card.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{path}: not a model card: {error}") from error

    def write(self, path: Path) -> None:
        """Write the card, the same bytes for the same card."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
