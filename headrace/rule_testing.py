"""Run a rule file against a recording or a scenario: the stages of the flow, without a broker."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np

from edge_agent import drivers
from edge_agent.drivers.base import Block, Device
from edge_agent.drivers.recording.driver import RecordingDriver
from edge_agent.scoring import scorer_for
from firmware_sim.driver import DEFAULT_START_MS
from firmware_sim.plant import MACHINES, Plant
from firmware_sim.scenarios import SCENARIOS
from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame
from stream_processor.rules.definitions import ModelScore
from stream_processor.rules.rule_file import RuleFile
from stream_processor.stages import STAGES, RuleEvaluation
from stream_processor.stages.chain import Chain as StageChain
from stream_processor.stages.items import (
    Assessment,
    Condition,
    Detections,
    Deviation,
    Features,
    Outlook,
    Reading,
)
from stream_processor.stages.rule_advisory import summary
from stream_processor.v1.alert_pb2 import Severity

# Number of frames done, and of how many.
Progress = Callable[[int, int], None]


class NothingToTestError(ValueError):
    """There is no machine of the rules' class in what they are tested on."""


@dataclass(frozen=True, slots=True)
class Material:
    """Frames in the order of their event time, and how many at most."""

    frames: Iterator[Frame]
    count: int


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule said of a machine at a moment of event time.

    `reading` is what decided, None when there was nothing to read.
    """

    time_ms: int
    equipment: str
    rule: str
    transition: str
    shadow: bool
    severity: str
    summary: str
    site: str = ""
    version: str = ""
    reading: Reading | None = None

    @property
    def time(self) -> datetime:
        """Event time."""
        return datetime.fromtimestamp(self.time_ms / 1000, UTC)


@dataclass
class Outcome:
    """What the rules said, of how many observations; `unbound` maps machine and rule to why not."""

    said: list[Said] = field(default_factory=list)
    observations: int = 0
    machines: list[str] = field(default_factory=list)
    unbound: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def raised(self) -> list[Said]:
        """What was raised, in shadow too."""
        return [s for s in self.said if s.transition == "raise"]


class Front:
    """The stages of one machine before the rules.

    Rules that ask no model do without them: most of the time goes there. `made` makes a stage of
    its name and class.
    """

    def __init__(
        self, models: bool, made: Callable[[str, type[Any]], Any] = lambda _, kind: kind()
    ) -> None:
        before = STAGES[: [kind for _, kind in STAGES].index(RuleEvaluation)]
        chosen = before if models else (before[0], ("no_models", _Blank))
        self._stages = StageChain(chosen, made)

    def feed(self, frame: Frame) -> Outlook:
        """Take a frame through the stages."""
        outlook: Outlook = self._stages.feed(frame)
        return outlook


class Chain:
    """The stages of one machine up to the rules."""

    def __init__(self, models: bool) -> None:
        self.front = Front(models)
        self.rules = RuleEvaluation()

    def feed(self, frame: Frame) -> Outlook:
        """Take a frame through the stages."""
        return self.rules.update(self.front.feed(frame))


class _Blank:
    """What models that were never asked say: nothing."""

    def update(self, item: Features) -> Outlook:
        count = len(item.catalogue.features)
        blank, drift = np.full(count, np.nan), np.full(len(item.catalogue.watched_slow), np.nan)
        deviations = tuple(
            Deviation(o, blank, blank, blank, blank, (), np.nan, np.nan, drift, False)
            for o in item.observations
        )
        condition = Condition(np.nan, np.nan)
        assessment = Assessment(Detections(item, deviations), (condition,) * len(deviations))
        return Outlook(assessment, (None,) * len(deviations))

    def state(self) -> dict[str, Any]:
        return {"schema": 1}

    @classmethod
    def restore(cls, _state: dict[str, Any]) -> Self:
        return cls()


def asks_models(file: RuleFile) -> bool:
    """Return whether a rule needs what models say."""
    return any(
        isinstance(rule.table, ModelScore) or any(r.feature == "drift" for r in rule.references)
        for rule in file.rules
    )


def run(
    file: RuleFile, material: Material, progress: Progress = lambda _done, _of: None
) -> Outcome:
    """Return what the rules say of every machine of their class."""
    chains: dict[str, Chain] = {}
    models = asks_models(file)
    outcome = Outcome()
    for done, frame in enumerate(material.frames, 1):
        tag = frame.info.equipment
        chain = chains.get(tag)
        if chain is None:
            chain = chains[tag] = Chain(models)
        outlook = chain.feed(replace(frame, rules=file))
        observations = outlook.assessment.detections.features.observations
        outcome.observations += len(observations)
        outcome.said += statements(outlook)
        progress(done, material.count)
    if not chains:
        raise NothingToTestError("there was nothing to test on: no frame of this class came")
    outcome.machines = sorted(chains)
    for tag, chain in chains.items():
        for rule, reason in chain.rules.unbound.items():
            outcome.unbound[tag, rule] = reason
    return outcome


def statements(outlook: Outlook) -> list[Said]:
    """Return what the rules said of a machine's frame."""
    features = outlook.assessment.detections.features
    info = features.frame.info
    return [
        Said(
            features.observations[verdict.at].time_ms,
            info.equipment,
            verdict.rule,
            verdict.transition,
            verdict.shadow,
            severity_name(verdict.severity),
            summary(info.equipment, verdict),
            info.site,
            verdict.version,
            verdict.readings[0] if verdict.readings else None,
        )
        for verdict in outlook.verdicts
    ]


def severity_name(severity: Severity.ValueType) -> str:
    """Return a severity as rule files write it."""
    return Severity.Name(severity).removeprefix("SEVERITY_").lower()


def recording(
    path: Path, time_column: str | None, separator: str | None, file: RuleFile
) -> Material:
    """Return the frames of a recording, taken for one machine of the rules' class.

    Units and quantities of its columns are those that the rule file declares.

    Raises:
        OptionsError: the file cannot be read as sensor data.
    """
    options = {"path": str(path.resolve()), "time": time_column, "separator": separator}
    given = {name: value for name, value in options.items() if value is not None}
    driver = drivers.open_driver("recording", given)
    assert isinstance(driver, RecordingDriver)
    (device,) = driver.devices()
    declared = {}
    for channel in device.channels:
        table = file.channels.get(channel.name)
        declared[channel.name] = ChannelInfo(
            channel.name,
            table.unit if table else channel.unit,
            channel.sample_rate_hz,
            table.quantity if table else channel.quantity,
        )
    info = EquipmentInfo(
        "recordings", "test", device.tag, file.equipment_class, "", "recording", declared
    )
    blocks = _drained(driver)
    return Material((_frame(info, block) for block in blocks), driver.block_count)


def _drained(driver: RecordingDriver) -> list[Block]:
    async def drain() -> list[Block]:
        return [block async for block in driver.blocks()]

    return asyncio.run(drain())


def scenario(name: str, seed: int, file: RuleFile, seconds: int | None = None) -> Material:
    """Return the frames of the plant's machines of the rules' class in a scenario.

    Raises:
        NothingToTestError: the plant has no such machine.
    """
    chosen = SCENARIOS[name]
    tags = [tag for tag, (kind, _) in MACHINES.items()
            if kind.equipment_class == file.equipment_class]  # fmt: skip
    if not tags:
        classes = sorted({kind.equipment_class for kind, _ in MACHINES.values()})
        raise NothingToTestError(
            f"the plant has no {file.equipment_class!r}: it has {', '.join(classes)}"
        )
    faults = chosen.faults(DEFAULT_START_MS + chosen.warm_up_s * 1000)
    plant = Plant(seed, DEFAULT_START_MS, [f for f in faults if f.machine in tags], tags)
    infos = {device.tag: _info(device) for device in plant.devices()}
    scorers = {device.tag: scorer_for(device) for device in plant.devices()}
    duration, interval = seconds or chosen.duration_s, chosen.vibration_interval_s

    def frames() -> Iterator[Frame]:
        for block in plant.blocks(0, duration, interval):
            scorer = scorers[block.device]
            score = scorer.score(block) if scorer else None
            yield _frame(infos[block.device], block, score)

    return Material(frames(), math.ceil(duration / interval) * len(tags))


def _info(device: Device) -> EquipmentInfo:
    return EquipmentInfo(
        "site",
        "test",
        device.tag,
        device.equipment_class,
        device.path,
        device.clock,
        {
            c.name: ChannelInfo(c.name, c.unit, c.sample_rate_hz, c.quantity, c.location)
            for c in device.channels
        },
        dict(device.facts),
    )


def _frame(info: EquipmentInfo, block: Block, score: float | None = None) -> Frame:
    samples = {name: np.asarray(part, np.float64) for name, part in block.samples.items()}
    return Frame(info, block.start_time_ms, block.start_time_ms, samples, score)


def between(material: Material, since: datetime | None, until: datetime | None) -> Material:
    """Return the frames that begin within a range of event time."""
    low = since.timestamp() * 1000 if since else -math.inf
    high = until.timestamp() * 1000 if until else math.inf

    def within(frames: Iterable[Frame]) -> Iterator[Frame]:
        return (frame for frame in frames if low <= frame.start_time_ms < high)

    return Material(within(material.frames), material.count)
