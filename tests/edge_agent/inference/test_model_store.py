"""Which model scores a device, over trials, verdicts, damage and deaths."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from edge_agent.drivers.base import Block, Device
from edge_agent.inference.autoencoder import AutoencoderScorer
from edge_agent.inference.model_store import ModelStore
from edge_agent.scoring import Scorer
from edge_agent.updates import UpdatesTable
from edge_agent.updates.suspects import DEATHS
from firmware_sim.driver import create

OPTIONS = UpdatesTable(server="http://127.0.0.1:1", trial_windows=10, trial_latency_ms=1000.0)


@pytest.fixture(scope="module")
def fan() -> Device:
    return next(d for d in create({"scenario": "healthy"}).devices() if d.tag == "F-201")


@pytest.fixture
async def blocks() -> Iterator[Block]:
    """Blocks of the healthy fan, as many as a test takes."""
    driver = create({"scenario": "healthy", "seed": 3, "days": 0.1})
    found = [b async for b in driver.blocks() if isinstance(b, Block) and b.device == "F-201"]
    return itertools.cycle(found)


def opened(fans: Any, fan: Device) -> tuple[ModelStore, Scorer]:
    models = ModelStore(fans.store, OPTIONS)
    scorer = models.scorer_for(fan)
    assert scorer is not None
    models.refresh()
    return models, scorer


def run(scorer: Scorer, blocks: Iterator[Block], count: int) -> list[float]:
    scores = [scorer.score(block) for block in itertools.islice(blocks, count)]
    assert all(score is not None for score in scores)
    return [score for score in scores if score is not None]


def test_without_updates_the_shipped_model_counts(fan: Device) -> None:
    models = ModelStore()

    scorer = models.scorer_for(fan)

    assert scorer is not None
    assert scorer.model == "autoencoder-fan@1"
    assert [(s.source, s.version) for s in models.states()] == [("shipped", "1")]
    assert models.scorer_for(Device("X", "mill", "p", ())) is None


async def test_a_good_model_takes_over_after_its_trial(
    fans: Any, fan: Device, blocks: Iterator[Block]
) -> None:
    fans.put(trial=fans.artefact("2"))
    models, scorer = opened(fans, fan)
    marker = fans.store.folder / "trial-fan"

    assert not marker.exists()
    run(scorer, blocks, 5)
    # On trial the old one is heard.
    assert scorer.model == "autoencoder-fan@1"
    assert marker.exists()
    assert models.settle() == {}
    assert models.changed() == []
    assert [s.windows for s in models.states()] == [(5, 10)]
    run(scorer, blocks, 5)
    verdicts = models.settle()

    assert [v.reason for v in verdicts.values()] == [""]
    assert verdicts["fan"].shift == 0
    assert scorer.model == "autoencoder-fan@2"
    assert models.changed() == ["F-201"]
    assert (fans.slot.current.version, fans.slot.trial, fans.slot.previous) == ("2", None, None)
    assert not marker.exists()
    # The next start goes on with it.
    assert opened(fans, fan)[1].model == "autoencoder-fan@2"


async def test_a_model_that_scores_otherwise_is_dropped(
    fans: Any, fan: Device, blocks: Iterator[Block]
) -> None:
    fans.put(trial=fans.artefact("2", limit=0.05))
    models, scorer = opened(fans, fan)

    scores = run(scorer, blocks, 10)
    verdict = models.settle()["fan"]

    assert verdict.reason.startswith("scores: shifted by 0.")
    assert max(scores) < 1
    assert scorer.model == "autoencoder-fan@1"
    refused = fans.slot.refused
    assert (refused.version, refused.reason) == ("2", verdict.reason)
    assert [s.source for s in models.states()] == ["shipped"]


async def test_a_model_that_is_slow_is_dropped(
    fans: Any, fan: Device, blocks: Iterator[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    fans.put(trial=fans.artefact("2"))
    models = ModelStore(fans.store, msgspec.structs.replace(OPTIONS, trial_latency_ms=1.0))
    scorer = models.scorer_for(fan)
    assert scorer is not None
    quick = AutoencoderScorer.score

    def slow(self: AutoencoderScorer, window: Block) -> float | None:
        if self.model.endswith("@2"):
            time.sleep(0.05)  # what makes it slow
        return quick(self, window)

    monkeypatch.setattr(AutoencoderScorer, "score", slow)
    models.refresh()
    run(scorer, blocks, 10)
    verdict = models.settle()["fan"]

    assert verdict.reason.startswith("latency: 5")
    assert "the old model" in verdict.reason
    assert (scorer.model, fans.slot.current) == ("autoencoder-fan@1", None)
    assert fans.slot.refused.reason == verdict.reason


async def test_no_window_is_lost_while_models_come_and_go(
    fans: Any, fan: Device, blocks: Iterator[Block]
) -> None:
    taken = list(itertools.islice(blocks, 150))
    alone = ModelStore().scorer_for(fan)
    assert alone is not None
    models, scorer = opened(fans, fan)
    artefacts = [fans.artefact(str(version)) for version in (2, 3, 4)]
    names = set()

    scores = []
    for n, block in enumerate(taken):
        if n % 7 == 0:
            # By turns one that counts at once, and one that is tried first.
            slot = {"current": artefacts[n % 3]}
            fans.put(**slot if n % 2 else {**slot, "trial": artefacts[(n + 1) % 3]})
            models.refresh()
        scores.append(scorer.score(block))
        models.settle()
        names.add(scorer.model)

    # All have the same weights: also the minute before a change is not forgotten.
    assert scores == [alone.score(block) for block in taken]
    assert None not in scores
    assert names == {f"autoencoder-fan@{version}" for version in (2, 3, 4)}


async def test_a_model_of_other_features_is_dropped_at_once(fans: Any, fan: Device) -> None:
    fans.put(trial=fans.artefact("2", features=["Torque/mean"]))
    models, scorer = opened(fans, fan)

    verdict = models.settle()["fan"]

    assert "was trained on other features" in verdict.reason
    assert scorer.model == "autoencoder-fan@1"


async def test_what_was_damaged_is_fallen_back_from(
    fans: Any, fan: Device, blocks: Iterator[Block]
) -> None:
    three, two = fans.artefact("3"), fans.artefact("2", clip=7.0)
    fans.put(current=three, previous=two)
    assert opened(fans, fan)[1].model == "autoencoder-fan@3"

    fans.store.path(three, "model.json").write_bytes(b"{}")
    models, scorer = opened(fans, fan)
    assert scorer.model == "autoencoder-fan@2"
    assert [s.source for s in models.states()] == ["previous"]

    fans.damage(two)
    models, scorer = opened(fans, fan)
    assert scorer.model == "autoencoder-fan@1"
    assert [s.source for s in models.states()] == ["shipped"]
    run(scorer, blocks, 1)


async def test_a_manifest_that_cannot_be_read_leaves_the_shipped_model(
    fans: Any, fan: Device
) -> None:
    fans.put(current=fans.artefact("2"))
    (fans.store.folder / "manifest.json").write_bytes(b'{"schema": 1, "models": {"fan"')

    assert opened(fans, fan)[1].model == "autoencoder-fan@1"


async def test_a_model_that_kills_the_agent_is_dropped_in_the_end(
    fans: Any, fan: Device, blocks: Iterator[Block]
) -> None:
    fans.put(trial=fans.artefact("2"))
    for death in range(DEATHS):
        assert fans.slot.trial is not None, death
        _, scorer = opened(fans, fan)
        run(scorer, blocks, 2)  # and then it dies: nobody closes

    models, scorer = opened(fans, fan)

    assert fans.slot.trial is None
    assert fans.slot.refused.reason == f"the agent died {DEATHS} times while it was tried"
    assert [s.trial for s in models.states()] == [None]
    assert scorer.model == "autoencoder-fan@1"


async def test_a_model_that_kills_the_agent_soon_after_each_start_is_left_for_the_one_before(
    fans: Any, fan: Device, blocks: Iterator[Block]
) -> None:
    two, three = fans.artefact("2"), fans.artefact("3")
    fans.put(current=three, previous=two)
    for death in range(DEATHS):
        _, scorer = opened(fans, fan)
        assert scorer.model == "autoencoder-fan@3", death
        run(scorer, blocks, 2)  # and then it dies: nobody closes

    _, scorer = opened(fans, fan)

    assert scorer.model == "autoencoder-fan@2"
    assert (fans.slot.current, fans.slot.previous) == (two, None)
    refused = fans.slot.refused
    assert (refused.digest, refused.rollout) == (three.digest, "rollouts/3")
    assert refused.reason == f"the agent died {DEATHS} times soon after a start with it"


async def test_deaths_of_an_agent_that_runs_for_a_while_are_not_held_against_its_model(
    fans: Any, fan: Device, blocks: Iterator[Block]
) -> None:
    fans.put(current=fans.artefact("2"))
    for _ in range(DEATHS - 1):
        opened(fans, fan)
    assert fans.slot.deaths == DEATHS - 2
    for _ in range(DEATHS):
        models, scorer = opened(fans, fan)
        run(scorer, blocks, 10)
        models.settle()
        assert fans.slot.deaths == 0

    # One that ends on purpose before that is no death either.
    for _ in range(DEATHS + 1):
        models, scorer = opened(fans, fan)
        models.close()
    assert (scorer.model, fans.slot.deaths) == ("autoencoder-fan@2", 0)


async def test_a_disk_that_refuses_puts_a_trial_off(
    fans: Any, fan: Device, blocks: Iterator[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    fans.put(trial=fans.artefact("2"))
    models, scorer = opened(fans, fan)

    def refuses(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("edge_agent.durable.write", refuses)
    run(scorer, blocks, 20)
    assert models.settle() == {}
    monkeypatch.undo()

    assert scorer.model == "autoencoder-fan@1"
    models, scorer = opened(fans, fan)
    run(scorer, blocks, 10)
    assert [verdict.reason for verdict in models.settle().values()] == [""]


async def test_ends_on_purpose_and_power_cuts_are_no_deaths(
    fans: Any, fan: Device, blocks: Iterator[Block]
) -> None:
    fans.put(trial=fans.artefact("2"))
    for turn in range(DEATHS + 2):
        models, scorer = opened(fans, fan)
        run(scorer, blocks, 2)
        if turn % 2:
            models.close()
        else:
            # Another boot of the machine wrote it.
            marker = fans.store.folder / "trial-fan"
            marker.write_text(f"{marker.read_text().split()[0]} another-boot")

    assert fans.slot.trial is not None
    assert fans.slot.starts == 0


async def test_a_model_that_was_taken_back_leaves(fans: Any, fan: Device) -> None:
    three, two = fans.artefact("3"), fans.artefact("2", clip=7.0)
    fans.put(current=three, previous=two)
    models, scorer = opened(fans, fan)

    fans.put(current=two)
    models.refresh()
    assert (scorer.model, models.changed()) == ("autoencoder-fan@2", ["F-201"])

    fans.put()
    models.refresh()
    assert (scorer.model, models.changed()) == ("autoencoder-fan@1", ["F-201"])
    models.refresh()
    assert models.changed() == []


async def test_a_model_that_raises_in_use_is_fallen_back_from(
    fans: Any, fan: Device, blocks: Iterator[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    fans.put(current=fans.artefact("2"))
    models, scorer = opened(fans, fan)

    def fails(_: Block) -> float:
        raise RuntimeError("no tensor")

    monkeypatch.setattr(scorer.current, "score", fails)  # type: ignore[attr-defined]
    assert scorer.score(next(blocks)) is None
    run(scorer, blocks, 1)

    assert scorer.model == "autoencoder-fan@1"
    assert models.changed() == ["F-201"]
