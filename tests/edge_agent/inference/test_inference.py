"""The runtime runs the shipped models, and refuses what they were not trained on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.features import feature_names
from edge_agent.inference import MODELS, scorer_for
from edge_agent.inference.autoencoder import (
    AutoencoderScorer,
    normalise,
    reconstruction_error,
)
from edge_agent.inference.card import ModelCard
from edge_agent.inference.runtime import Int8Model, ModelError
from firmware_sim.driver import create

FILES = sorted(MODELS.glob("*.tflite"))
NO_MODEL = "no model was trained yet: headrace model train"
needs_models = pytest.mark.skipif(not FILES, reason=NO_MODEL)


def device_of(equipment_class: str) -> Device:
    devices = create({"scenario": "healthy"}).devices()
    return next(d for d in devices if d.equipment_class == equipment_class)


def block_of(device: Device, spread: float) -> Block:
    chance = np.random.default_rng(1)
    return Block(
        device.tag,
        0,
        {
            c.name: spread * chance.standard_normal(max(8, round(c.sample_rate_hz)))
            for c in device.channels
        },
    )


@needs_models
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_shipped_model_answers(path: Path) -> None:
    model = Int8Model(path)
    card = ModelCard.read(path.with_suffix(".json"))
    chance = np.random.default_rng(7)
    asked = [chance.standard_normal(model.width).astype(np.float32) for _ in range(20)]

    answers = [model(values) for values in asked]

    assert model.width == len(card.features) == len(card.mean) == len(card.scale)
    assert all(a.shape == (model.width,) and np.isfinite(a).all() for a in answers)
    # It really runs: other questions have other answers, the same one the same.
    assert len({a.tobytes() for a in answers}) > 1
    np.testing.assert_array_equal(model(asked[0]), answers[0])


@needs_models
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_machine_of_the_plant_is_scored(path: Path) -> None:
    device = device_of(path.stem)
    scorer = scorer_for(device)

    assert scorer is not None
    assert scorer.model == ModelCard.read(path.with_suffix(".json")).label
    wild = scorer.score(block_of(device, 1000.0))
    assert wild is not None
    assert wild > 1.0
    assert scorer.score(Block(device.tag, 0, {})) is None


@needs_models
async def test_healthy_blocks_of_the_plant_score_below_the_limit() -> None:
    driver = create({"scenario": "healthy", "seed": 42, "days": 0.05})
    scorers = {d.tag: scorer_for(d) for d in driver.devices()}
    scores = [
        score
        async for block in driver.blocks()
        if (scorer := scorers[block.device]) and (score := scorer.score(block)) is not None
    ]

    assert scores
    assert np.median(scores) < 1.0


@needs_models
def test_more_channels_in_another_order_change_nothing() -> None:
    path = FILES[0]
    device = device_of(path.stem)
    extra = Channel("Extra", "1", 1.0)
    more = replace(device, channels=(extra, *device.channels[::-1]))
    plain, other = scorer_for(device), scorer_for(more)

    assert plain is not None
    assert other is not None
    block = block_of(more, 2.0)
    assert plain.score(block) == other.score(block)


@needs_models
def test_a_missing_channel_is_named() -> None:
    path = FILES[0]
    device = device_of(path.stem)
    less = replace(device, channels=device.channels[1:])

    with pytest.raises(ModelError, match=f"{device.channels[0].name}/"):
        AutoencoderScorer(less, Int8Model(path), ModelCard.read(path.with_suffix(".json")))
    assert scorer_for(less) is None


def test_a_class_without_a_model_has_no_scorer(tmp_path: Path) -> None:
    assert scorer_for(Device("X", "mill", "p", ()), tmp_path) is None


@needs_models
def test_a_model_without_a_good_card_is_not_used(tmp_path: Path) -> None:
    device = device_of(FILES[0].stem)
    shutil.copy(FILES[0], tmp_path)
    assert scorer_for(device, tmp_path) is None

    card = tmp_path / f"{FILES[0].stem}.json"
    card.write_text("{", encoding="utf-8")
    assert scorer_for(device, tmp_path) is None

    shutil.copy(FILES[0].with_suffix(".json"), tmp_path)
    assert scorer_for(device, tmp_path) is not None


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mill.tflite"
    path.write_bytes(b"not a model")

    with pytest.raises(ModelError, match=r"mill\.tflite"):
        Int8Model(path)


def test_normalising_counts_missing_as_normal_and_cuts_off() -> None:
    card = ModelCard("m", "1", "c", ["a", "b", "c"], [1.0, 2.0, 3.0], [2.0, 1.0, 1.0], 5.0, 1.0)

    normal = normalise([3.0, np.nan, 1e9], card)

    np.testing.assert_array_equal(normal, np.array([1.0, 0.0, 5.0], np.float32))
    assert reconstruction_error(normal, np.zeros(3, np.float32)) == pytest.approx(
        np.sqrt((1 + 25) / 3)
    )


def test_a_card_reads_as_it_was_written(tmp_path: Path) -> None:
    card = ModelCard("m", "1", "c", ["a"], [1.0], [2.0], 5.0, 1.5, {"seed": 1}, 9, 8, {}, "how")
    path = tmp_path / "c.json"
    card.write(path)

    assert ModelCard.read(path) == card
    assert card.label == "m@1"
    assert len(feature_names(Device("X", "c", "p", (Channel("a", "1", 1.0),)))) == 3
