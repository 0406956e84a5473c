"""Fit a small dense autoencoder to normal features and quantise it to full int8.

The shape is that of the MLPerf Tiny anomaly detection benchmark (Banbury et al. 2021), scaled down
to a few dozen features: dense layers, ReLU, a bottleneck; trained on normal data alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths of the hidden layers on either side of the bottleneck, and how to fit."""

    hidden: int = 24
    bottleneck: int = 6
    epochs: int = 120
    batch: int = 64
    learning_rate: float = 2e-3


def fit(normal: Matrix, shape: Shape, seed: int) -> Any:
    """Return a Keras autoencoder fitted to `normal`, shape (blocks, features), normalised.

    The same seed and data give the same weights on the same version and processor.
    """
    import tensorflow as tf

    # Layers are numbered over the session, and their names are part of the file.
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    width = normal.shape[1]
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            tf.keras.Input((width,)),
            layers.Dense(shape.hidden, activation="relu"),
            layers.Dense(shape.bottleneck, activation="relu"),
            layers.Dense(shape.hidden, activation="relu"),
            layers.Dense(width),
        ]
    )
    model.compile(tf.keras.optimizers.Adam(shape.learning_rate), "mse")
    model.fit(normal, normal, epochs=shape.epochs, batch_size=shape.batch, verbose=0)
    return model


def quantise(model: Any, normal: Matrix, clip: float) -> bytes:
    """Return the model as a full-integer TFLite flatbuffer, int8 in and out.

    The representative data are the normal blocks and the corners of the range ± `clip`, so that
    what is far from normal does not saturate.
    """
    import tensorflow as tf

    def representative() -> Iterator[list[Matrix]]:
        for row in normal[:: max(1, len(normal) // 400)]:
            yield [row[np.newaxis]]
        for corner in (-clip, clip):
            yield [np.full((1, normal.shape[1]), corner, np.float32)]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def ranking_quality(normal: npt.ArrayLike, abnormal: npt.ArrayLike) -> float:
    """Return the area under the ROC curve: how often an abnormal score exceeds a normal one."""
    low, high = np.sort(np.asarray(normal, float)), np.asarray(abnormal, float)
    below = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    return float(below.mean() / (2 * low.size))
