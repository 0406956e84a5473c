"""Score a block by how badly the class's autoencoder rebuilds its features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edge_agent.drivers.base import Block, Device
from edge_agent.features import feature_names, feature_vector
from edge_agent.inference.card import ModelCard
from edge_agent.inference.runtime import Int8Model, ModelError, Vector


def normalise(features: npt.ArrayLike, card: ModelCard) -> Vector:
    """Return features, shape (…, n), in units of their spread around normal, within ± `clip`.

    A missing feature (NaN) counts as normal.
    """
    scaled = (np.asarray(features, np.float64) - np.array(card.mean)) / np.array(card.scale)
    return np.asarray(
        np.clip(np.nan_to_num(scaled, nan=0.0), -card.clip, card.clip), dtype=np.float32
    )


def reconstruction_error(normal: Vector, rebuilt: Vector) -> npt.NDArray[np.float64]:
    """Return the root mean square difference over the last axis."""
    difference = normal.astype(np.float64) - rebuilt
    return np.asarray(np.sqrt(np.mean(difference * difference, axis=-1)))


class AutoencoderScorer:
    """The anomaly score of one device's blocks; 1.0 is the alarm limit."""

    def __init__(self, device: Device, model: Int8Model, card: ModelCard) -> None:
        """Bind a model to a device; channels that the model does not know are left out.

        Raises:
            ModelError: the device does not have the features that the model was trained on.
        """
        wanted = dict.fromkeys(name.rpartition("/")[0] for name in card.features)
        channels = {channel.name: channel for channel in device.channels}
        known = replace(device, channels=tuple(channels[n] for n in wanted if n in channels))
        names = list(feature_names(known))
        if names != card.features or model.width != len(names):
            unknown = sorted(set(names) ^ set(card.features))
            raise ModelError(
                f"{device.tag}: model {card.label} was trained on other features"
                + (f": {', '.join(unknown[:5])}" if unknown else "")
            )
        self.model = card.label
        self._device, self._int8, self._card = known, model, card

    def score(self, block: Block) -> float | None:
        """Return the score of a block, None when it lacks half of the features or more."""
        features = feature_vector(self._device, block)
        if np.count_nonzero(np.isnan(features)) * 2 >= features.size:
            return None
        normal = normalise(features, self._card)
        return float(reconstruction_error(normal, self._int8(normal)) / self._card.limit)
