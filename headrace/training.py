"""Train the agent's models on the simulated plant and lay them where the agent looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.drivers.base import Device
from edge_agent.features import feature_names, feature_vector
from edge_agent.inference import MODELS
from edge_agent.inference.autoencoder import normalise, reconstruction_error
from edge_agent.inference.card import ModelCard
from edge_agent.inference.runtime import Int8Model
from firmware_sim.driver import PlantDriver, create
from firmware_sim.scenarios import SCENARIOS

CLIP = 8.0
VERSION = "1"
DAYS = 2.0
Features = npt.NDArray[np.float64]


class TrainingError(RuntimeError):
    """The extra `train` is missing, or a class is unknown."""


async def _collect(driver: PlantDriver, device: Device, after_ms: int = 0) -> Features:
    """Return the features, shape (blocks, features), of a device's blocks from `after_ms` on."""
    rows = [
        feature_vector(device, block)
        async for block in driver.blocks()
        if block.device == device.tag and block.start_time_ms >= after_ms
    ]
    return np.array(rows)


def _features(options: dict[str, Any], device: Device, after_ms: int = 0) -> Features:
    driver = create({"speed": "max", "machines": [device.tag], **options})
    return asyncio.run(_collect(driver, device, after_ms))


def _errors(card: ModelCard, features: Features, model: Callable[[Any], Any]) -> Features:
    """Return the score (error over limit) of each row."""
    normal = normalise(features, card)
    rebuilt = np.stack([model(row) for row in normal])
    return reconstruction_error(normal, rebuilt) / card.limit


def _late(device: Device, seed: int) -> dict[str, Features]:
    """Return the features of the grown fault for each scenario on this device."""
    found = {}
    for name, scenario in SCENARIOS.items():
        if scenario.fault is None or scenario.machine != device.tag:
            continue
        driver = create({"scenario": name, "seed": seed, "speed": "max"})
        label = next(x for x in driver.labels if x.machine == device.tag)
        late = label.onset_ms + (label.full_ms - label.onset_ms) // 2
        found[name] = _features({"scenario": name, "seed": seed}, device, late)
    return found


def _train(device: Device, seed: int, output: Path) -> ModelCard:
    """Fit, quantise, measure and write the model of a device's class."""
    from edge_agent.training.autoencoder import Shape, fit, quantise, ranking_quality

    healthy = {"scenario": "healthy", "days": DAYS}
    training = _features({**healthy, "seed": seed}, device)
    validation = _features({**healthy, "seed": seed + 1}, device)
    spread = np.nanstd(training, axis=0)
    card = ModelCard(
        name=f"autoencoder-{device.equipment_class}",
        version=VERSION,
        equipment_class=device.equipment_class,
        features=list(feature_names(device)),
        mean=[float(x) for x in np.nan_to_num(np.nanmean(training, axis=0)).round(9)],
        scale=[float(x) for x in np.where(spread > 1e-9, spread, 1.0).round(9)],
        clip=CLIP,
        limit=1.0,
    )
    normal = normalise(training, card)
    keras_model = fit(normal, Shape(), seed)
    weights = output / f"{device.equipment_class}.tflite"
    weights.write_bytes(quantise(keras_model, normal, CLIP))
    int8 = Int8Model(weights)

    def as_float(row: Any) -> Any:
        return keras_model(row[np.newaxis], training=False).numpy()[0]

    # Half again above the worst of 99.9 % of unseen normal blocks.
    limit = float(1.5 * np.quantile(_errors(card, validation, int8), 0.999))
    card = ModelCard(**{**vars(card), "limit": round(limit, 6)})
    scores: dict[str, Any] = {}
    normal_scores = {
        "float32": _errors(card, validation, as_float),
        "int8": _errors(card, validation, int8),
    }
    for kind, values in normal_scores.items():
        scores[kind] = {
            "normal_median": round(float(np.median(values)), 4),
            "normal_above_limit": round(float(np.mean(values > 1.0)), 5),
        }
    for name, features in _late(device, seed + 2).items():
        for kind, model in (("float32", as_float), ("int8", int8)):
            values = _errors(card, features, model)
            scores[kind][name] = {
                "roc_auc": round(ranking_quality(normal_scores[kind], values), 4),
                "above_limit": round(float(np.mean(values > 1.0)), 4),
            }
    card = ModelCard(
        **{
            **vars(card),
            "size_bytes": weights.stat().st_size,
            "parameters": int(keras_model.count_params()),
            "scores": scores,
            "data": {
                "source": "firmware_sim, scenario healthy; faults by their scenarios, second half",
                "device": device.tag,
                "seed": seed,
                "days": DAYS,
                "training_blocks": len(training),
                "validation_blocks": len(validation),
            },
            "provenance": f"headrace model train --seed {seed}",
        }
    )
    card.write(weights.with_suffix(".json"))
    return card


def run(
    output: Path | None, equipment_class: str | None, seed: int, say: Callable[[str], None]
) -> list[ModelCard]:
    """Train the model of one class, or of every class of the plant.

    Raises:
        TrainingError: TensorFlow is missing, or the plant has no such class.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise TrainingError("training needs the extra `train`: pip install '.[train]'") from error
    devices: Sequence[Device] = create({"scenario": "healthy"}).devices()
    wanted = {d.equipment_class: d for d in devices}
    if equipment_class is not None:
        if equipment_class not in wanted:
            raise TrainingError(
                f"--class: the plant has no {equipment_class!r}; it has {', '.join(sorted(wanted))}"
            )
        wanted = {equipment_class: wanted[equipment_class]}
    folder = output or MODELS
    folder.mkdir(parents=True, exist_ok=True)
    say(f"TensorFlow {tf.__version__}, seed {seed}")
    cards = []
    for device in wanted.values():
        card = _train(device, seed, folder)
        cards.append(card)
        say(
            f"{card.label}: {card.size_bytes} bytes, {card.parameters} parameters, int8 "
            f"{card.scores['int8']}"
        )
    return cards
