"""The runtime's own fidelity: MLPerf Tiny's reference autoencoder scores its clip as published."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge_agent.inference.runtime import Int8Model

DATA = Path(os.environ.get("HEADRACE_EVAL_DATA", "../shared/data")) / "mlperf-tiny-ad"
# Published for TF 2.3, mean squared error over the 196 windows of five frames of 128 log-mel bands.
PUBLISHED = 10.26
FRAMES, BANDS, WINDOW = 200, 128, 5


@pytest.mark.skipif(not DATA.is_dir(), reason="no mlperf-tiny-ad in HEADRACE_EVAL_DATA")
def test_the_reference_clip_scores_as_published() -> None:
    model = Int8Model(DATA / "ad01_int8.tflite")
    clip = np.fromfile(DATA / "normal_id_01_00000000_hist_librosa.bin", "<f4")
    frames = clip.reshape(FRAMES, BANDS)
    windows = [frames[k : k + WINDOW].reshape(-1) for k in range(FRAMES - WINDOW + 1)]

    score = np.mean([np.mean((w - model(w)) ** 2) for w in windows])

    assert len(windows) == 196
    assert score == pytest.approx(PUBLISHED, abs=0.01)
