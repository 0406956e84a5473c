"""The first run of a model that just came, in a process that may die of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np

# Loading and some inferences; a gateway that swaps memory may take its time.
TIMEOUT_S: Final = 120.0
INFERENCES: Final = 32


class SmokeError(ValueError):
    """The model does not run, or does not fit its card."""


def survives(weights: Path, card: Path) -> str:
    """Return what is wrong with a model after running it in a process of its own; empty if good."""
    command = [sys.executable, "-m", "edge_agent.updates", "try", str(weights), str(card)]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {TIMEOUT_S:.0f} s"
    if ended.returncode < 0:
        return f"its process died of signal {-ended.returncode}"
    if ended.returncode:
        said = ended.stderr.strip().splitlines()
        reason = said[-1].removeprefix("error: ") if said else f"exit code {ended.returncode}"
        # Their places in the store say nothing to who reads the reason.
        return reason.replace(f"{weights}: ", "").replace(f"{card}: ", "")
    return ""


def run(weights: Path, card_path: Path) -> None:
    """Load a model and run it on noise around normal.

    Raises:
        SmokeError: it cannot be loaded, does not fit its card, or answers what is no number.
    """
    from edge_agent.inference.card import ModelCard
    from edge_agent.inference.runtime import Int8Model, ModelError

    try:
        card = ModelCard.read(card_path)
        model = Int8Model(weights)
        scaling = np.array([card.mean, card.scale], np.float64)
        limits = np.array([card.clip, card.limit], np.float64)
    except (OSError, ValueError, TypeError, ModelError) as error:
        raise SmokeError(str(error)) from error
    if not len(card.features) == model.width == scaling.shape[1]:
        raise SmokeError(
            f"{model.width} inputs, but {len(card.features)} features and "
            f"{scaling.shape[1]} scalings on the card"
        )
    if not (np.isfinite(scaling).all() and (scaling[1] > 0).all()):
        raise SmokeError("a mean is not finite, or a scale not positive")
    if not (np.isfinite(limits).all() and (limits > 0).all()):
        raise SmokeError("clip and limit must be positive")
    chance = np.random.default_rng(0)
    for _ in range(INFERENCES):
        answer = model(chance.standard_normal(model.width).astype(np.float32))
        if answer.shape != (model.width,) or not np.isfinite(answer).all():
            raise SmokeError("an answer is not finite")
