"""Which model each device is scored by: what came over the air, else what ships with the agent.

A new model is on trial first: it scores the same windows as the one that counts, and is not heard.
A marker on the disk says that a trial runs, or that a model from the air has just begun, so that
one which takes the process with it is found out at the next start.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from edge_agent import inference
from edge_agent.drivers.base import Device
from edge_agent.inference.autoencoder import AutoencoderScorer
from edge_agent.inference.card import ModelCard
from edge_agent.inference.runtime import Int8Model, RuntimeMissingError
from edge_agent.inference.swapping import FAILURES, SwappingScorer
from edge_agent.scoring import Scorer
from edge_agent.updates import UpdatesTable
from edge_agent.updates.store import (
    CARD,
    MODEL,
    Artefact,
    Slot,
    Store,
    sha256_of,
    sound,
)
from edge_agent.updates.suspects import START, TRIAL, Suspects
from edge_agent.updates.tally import Tally
from edge_agent.updates.trial import Trial, Verdict

log = structlog.get_logger(__name__)

SHIPPED: Final = "shipped"


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is known of one equipment class, for reports and the status page.

    `source` is `current`, `previous`, `shipped`, or empty without a model; `sha256` is that of the
    weights. Of a trial `windows` are seen and wanted; `verdict` is the newest one since the start.
    The tallies are of the model that counts and of the one on trial.
    """

    equipment_class: str
    devices: tuple[str, ...]
    source: str
    name: str
    version: str
    sha256: str
    since_ms: int
    rollout: str
    tally: Tally
    trial: Artefact | None
    trial_tally: Tally | None
    windows: tuple[int, int]
    slot: Slot
    verdict: Verdict | None


@dataclass(slots=True)
class _Class:
    """The devices of one equipment class, and what they are scored by."""

    scorers: list[SwappingScorer] = field(default_factory=list)
    # What the store wanted used when it was last looked at.
    wanted: str = ""
    used: Artefact | None = None
    # Whether a death of the agent would be held against `used`: it has scored few windows so far.
    proving: bool = False
    source: str = ""
    name: str = ""
    version: str = ""
    sha256: str = ""
    # Of the model that counts, over all devices of the class.
    tally: Tally = field(default_factory=Tally)
    tried: Artefact | None = None
    trial: Trial | None = None
    verdict: Verdict | None = None
    # Contents that raised in use; not before the next start.
    fallen: set[str] = field(default_factory=set)


class ModelStore:
    """The models of an agent's devices. Not for several threads at once."""

    def __init__(
        self,
        store: Store | None = None,
        options: UpdatesTable | None = None,
        shipped: Path = inference.MODELS,
    ) -> None:
        """Begin with what the store says; without one only shipped models count.

        Counts the last end of the agent against the model that may have been its cause.
        """
        self._store, self._options, self._shipped = store, options or UpdatesTable(), shipped
        self._classes: defaultdict[str, _Class] = defaultdict(_Class)
        self._changed: set[str] = set()
        if store is not None:
            self._suspects = Suspects(store)
            self._suspects.count_deaths()

    def scorer_for(self, device: Device) -> Scorer | None:
        """Return the scorer of a device, None when its class can never have a model."""
        scorer = SwappingScorer(device, self._fell)
        known = self._classes[device.equipment_class]
        known.scorers.append(scorer)
        self._load(device.equipment_class, scorer)
        # Its first birth says it.
        self._changed.discard(device.tag)
        if self._store is None and scorer.current is None:
            return None
        return scorer

    def refresh(self) -> None:
        """Follow the manifest after a check: begin trials, take up what counts now."""
        if self._store is None:
            return
        manifest = self._store.manifest()
        for name, known in self._classes.items():
            slot = manifest.slot("model", name)
            wanted = next((a for a, _ in self._usable(name, slot)), None)
            if _digest(wanted) != known.wanted:
                self._reload(name)
            elif known.used is not None and _digest(wanted) == known.used.digest:
                # Perhaps of another rollout now.
                known.used = wanted
            if _digest(slot.trial) != _digest(known.tried):
                self._end_trial(name)
                if slot.trial is not None:
                    self._begin_trial(name, slot.trial)
            elif slot.trial is not None:
                known.tried = slot.trial

    def settle(self) -> dict[str, Verdict]:
        """End the trials that have a verdict, durably; return the verdicts by equipment class."""
        found: dict[str, Verdict] = {}
        for name, known in self._classes.items():
            if known.proving and known.tally.windows >= self._options.trial_windows:
                self._prove(name)
            verdict = known.trial.verdict() if known.trial else None
            if verdict is not None and self._write(name, verdict.reason):
                known.verdict = found[name] = verdict
        if found:
            self.refresh()
        return found

    def changed(self) -> list[str]:
        """Return the devices whose births say another model now; a second time they are not new."""
        tags, self._changed = sorted(self._changed), set()
        return tags

    def states(self) -> list[ModelState]:
        """Return what every equipment class of the devices is scored by."""
        manifest = self._store.manifest() if self._store else None
        return [
            ModelState(
                equipment_class=name,
                devices=tuple(scorer.device.tag for scorer in known.scorers),
                source=known.source,
                name=known.name,
                version=known.version,
                sha256=known.sha256,
                since_ms=known.used.since_ms if known.used else 0,
                rollout=known.used.rollout if known.used else "",
                tally=known.tally,
                trial=known.tried,
                trial_tally=known.trial.tally if known.trial else None,
                windows=known.trial.progress if known.trial else (0, 0),
                slot=manifest.slot("model", name) if manifest else Slot(),
                verdict=known.verdict,
            )
            for name, known in sorted(self._classes.items())
        ]

    def close(self) -> None:
        """Say that the agent ends on purpose: trials that run are not its death."""
        for name, known in self._classes.items():
            if known.tried is not None:
                self._suspects.clear(TRIAL, name)
            if known.proving:
                self._suspects.clear(START, name)

    def _load(self, name: str, scorer: SwappingScorer) -> None:
        """Give a device the first model that it can be scored by: current, previous, shipped."""
        before, known = scorer.model, self._classes[name]
        scorer.current, scorer.tally = None, known.tally
        known.used, known.source, known.name, known.version, known.sha256 = None, "", "", "", ""
        slot = self._store.manifest().slot("model", name) if self._store else Slot()
        known.wanted = ""
        for artefact, files in self._usable(name, slot):
            known.wanted = known.wanted or artefact.digest
            # Loading it may be what kills.
            known.proving = self._suspects.add(START, name, artefact)
            try:
                scorer.current = _open(scorer.device, files[MODEL], files[CARD])
            except (OSError, RuntimeMissingError, *FAILURES) as error:
                log.error(
                    "model not used",
                    device=scorer.device.tag,
                    version=artefact.version,
                    reason=str(error),
                )
                continue
            known.used, known.sha256 = artefact, artefact.files[MODEL]
            known.source = "current" if artefact == slot.current else "previous"
            break
        else:
            if known.proving:
                self._suspects.clear(START, name)
                known.proving = False
            scorer.current = inference.scorer_for(scorer.device, self._shipped)
            if scorer.current is not None:
                known.source = SHIPPED
                known.sha256 = sha256_of(self._shipped / f"{name}.tflite")
        known.name, _, known.version = scorer.model.rpartition("@")
        if scorer.model != before:
            self._changed.add(scorer.device.tag)

    def _usable(self, name: str, slot: Slot) -> Iterator[tuple[Artefact, dict[str, Path]]]:
        if self._store is not None:
            for artefact, files in sound(self._store, slot):
                if artefact.digest not in self._classes[name].fallen:
                    yield artefact, dict(files)

    def _reload(self, name: str) -> None:
        self._classes[name].tally = Tally()
        for scorer in self._classes[name].scorers:
            self._load(name, scorer)

    def _fell(self, scorer: SwappingScorer, reason: str) -> None:
        """Go on with the model before: the one that counts has raised."""
        name = scorer.device.equipment_class
        known = self._classes[name]
        log.error("model failed", device=scorer.device.tag, model=scorer.model, reason=reason)
        if known.used is None:
            scorer.current = None
            self._changed.add(scorer.device.tag)
        else:
            known.fallen.add(known.used.digest)
            self._reload(name)
            known.tally.errors += 1

    def _begin_trial(self, name: str, artefact: Artefact) -> None:
        assert self._store is not None
        known, options = self._classes[name], self._options
        trial = Trial(
            options.trial_windows,
            options.trial_shift,
            options.trial_latency_factor,
            options.trial_latency_ms,
        )
        reasons: list[str] = []
        tried = 0
        for scorer in known.scorers:
            try:
                candidate = _open(
                    scorer.device,
                    self._store.path(artefact, MODEL),
                    self._store.path(artefact, CARD),
                )
            except (OSError, RuntimeMissingError, *FAILURES) as error:
                reasons.append(str(error))
                continue
            scorer.try_beside(candidate, trial, partial(self._suspects.add, TRIAL, name, artefact))
            tried += 1
        known.tried, known.trial = artefact, trial
        if not tried:
            trial.fail(reasons[0] if reasons else "no device of the class")
        log.info("model on trial", equipment_class=name, version=artefact.version, devices=tried)

    def _end_trial(self, name: str) -> None:
        known = self._classes[name]
        for scorer in known.scorers:
            scorer.end_trial()
        if known.tried is not None:
            self._suspects.clear(TRIAL, name)
        known.tried = known.trial = None

    def _prove(self, name: str) -> None:
        """Clear the model that counts of the agent's deaths: it has run for long enough."""
        assert self._store is not None
        self._classes[name].proving = False
        self._suspects.clear(START, name)
        if self._store.manifest().slot("model", name).deaths:
            try:
                with self._store.changing() as change:
                    change.put("model", name, change.manifest.slot("model", name).died(0))
            except OSError as error:
                log.error("the manifest cannot be written", reason=str(error))

    def _write(self, name: str, reason: str) -> bool:
        assert self._store is not None
        tried = self._classes[name].tried
        now_ms = time.time_ns() // 1_000_000
        try:
            with self._store.changing() as change:
                slot = change.manifest.slot("model", name)
                if slot.trial is None or _digest(slot.trial) != _digest(tried):
                    # A check took it back meanwhile.
                    return True
                change.put(
                    "model", name, slot.dropped(reason, now_ms) if reason else slot.kept(now_ms)
                )
        except OSError as error:
            log.error("the manifest cannot be written", reason=str(error))
            return False
        log.info("trial ended", equipment_class=name, reason=reason or "kept")
        return True


def _open(device: Device, weights: Path, card: Path) -> AutoencoderScorer:
    return AutoencoderScorer(device, Int8Model(weights), ModelCard.read(card))


def _digest(artefact: Artefact | None) -> str:
    return artefact.digest if artefact else ""
