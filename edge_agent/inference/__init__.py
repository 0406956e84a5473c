"""int8 autoencoders that ship with the agent, one an equipment class."""

from __future__ import annotations

from pathlib import Path

import structlog

from edge_agent.drivers.base import Device
from edge_agent.inference.autoencoder import AutoencoderScorer
from edge_agent.inference.card import ModelCard
from edge_agent.inference.runtime import Int8Model, RuntimeMissingError

MODELS = Path(__file__).with_name("models")
log = structlog.get_logger(__name__)


def scorer_for(device: Device, models: Path = MODELS) -> AutoencoderScorer | None:
    """Return the scorer of the device's class; None, and a log line why, when it has none."""
    weights = models / f"{device.equipment_class}.tflite"
    if not weights.exists():
        log.info(
            "no model for the class", device=device.tag, equipment_class=device.equipment_class
        )
        return None
    try:
        card = ModelCard.read(weights.with_suffix(".json"))
        return AutoencoderScorer(device, Int8Model(weights), card)
    except (OSError, ValueError, RuntimeMissingError) as error:
        log.warning("model not used", device=device.tag, reason=str(error))
        return None
