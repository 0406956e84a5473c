"""What rules of every kind say of a machine, over restarts and over changes of the rules."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.rule_testing import Chain
from stream_processor.frames import ChannelInfo, EquipmentInfo, Frame
from stream_processor.rules.rule_file import RuleBook, RuleFile, rule_file
from stream_processor.stages import STAGES, RuleEvaluation
from stream_processor.stages.items import Outlook, Verdict
from stream_processor.v1.alert_pb2 import AdvisoryState, FailureMode, Severity

START_MS = 1_767_571_200_000
CHANNELS = (
    ChannelInfo("Bearing Temperature", "degC", 1.0, "temperature"),
    ChannelInfo("Winding Temperature", "degF", 1.0, "temperature"),
    ChannelInfo("Flow", "m3/h", 1.0, "flow"),
    ChannelInfo("Speed", "1/min", 1.0, "speed"),
)
HEAD = """equipment_class = "pump"
version = {version}

[channels."Bearing Temperature"]
unit = "degC"
[channels."Flow"]
unit = "m3/h"
[channels."Speed"]
unit = "1/min"
[modes.running]
watch = "Speed"
above = 600
for_s = 3
"""
HOT = """
[[rules]]
id = "hot"
kind = "threshold"
watch = "Bearing Temperature"
above = 80
clears_below = 75
severity = "high"
failure_mode = "overheating"
summary = "it is hot"
"""


def info(*channels: ChannelInfo, **facts: float) -> EquipmentInfo:
    return EquipmentInfo(
        "site", "node", "P-1", "pump", "a/b", "simulated", {c.name: c for c in channels}, facts
    )


PUMP = info(*CHANNELS)


def rules(*parts: str, version: int = 1) -> RuleFile:
    return rule_file(HEAD.format(version=version) + "".join(parts))


def frame(at: int, file: RuleFile | None, machine: EquipmentInfo = PUMP, **values: float) -> Frame:
    """Return a frame of one second; names of channels with `_` for blanks, 20 by default."""
    given = {name.replace("_", " "): value for name, value in values.items()}
    samples = {name: np.array([given.get(name, 20.0)]) for name in machine.channels}
    return Frame(machine, START_MS + at * 1000, START_MS + at * 1000 + 7, samples, rules=file)


def course(
    file: RuleFile, name: str, values: Iterable[float], **others: float
) -> list[tuple[int, Verdict]]:
    """Return what was said at which second of a channel that takes these values."""
    chain = Chain(models=False)
    said = []
    for at, value in enumerate(values):
        outlook = chain.feed(frame(at, file, **{name.replace(" ", "_"): value}, **others))
        said += [(at, verdict) for verdict in outlook.verdicts]
    return said


def brief(said: Sequence[tuple[int, Verdict]]) -> list[tuple[int, str, str]]:
    return [(at, verdict.rule, verdict.transition) for at, verdict in said]


def test_a_threshold_has_hysteresis_and_delays() -> None:
    file = rules(HOT, "on_delay_s = 2\noff_delay_s = 3\n")
    values = [20, 81, 81, 79, 81, 82, 83, 78, 76, 75, 74, 80.1, 75, 75, 75, 75, 75]
    said = course(file, "Bearing Temperature", values)
    assert brief(said) == [(6, "hot", "raise"), (15, "hot", "clear")]
    first, last = (verdict for _, verdict in said)
    assert (first.severity, first.failure_mode) == (
        Severity.SEVERITY_HIGH,
        FailureMode.FAILURE_MODE_OVERHEATING,
    )
    assert first.window_start_ms == START_MS + 4000
    assert (first.revision, last.revision) == (1, 2)
    assert first.advisory_id == last.advisory_id
    (reading,) = first.readings
    assert (reading.channel, reading.feature, reading.unit) == (
        "Bearing Temperature", "mean", "degC",
    )  # fmt: skip
    assert (reading.value, reading.limit) == (83.0, 80.0)


def test_a_wildcard_is_one_alarm_and_reads_every_unit() -> None:
    file = rules(HOT.replace('"Bearing Temperature"', '"quantity:temperature"'))
    # 200 degF are 93.3 degC.
    said = course(file, "Winding Temperature", [150, 200, 200, 100], Bearing_Temperature=85.0)
    assert brief(said) == [(0, "hot", "raise")]
    assert said[0][1].channel == "Bearing Temperature"
    said = course(file, "Winding Temperature", [150, 200, 200, 100])
    assert brief(said) == [(1, "hot", "raise"), (3, "hot", "clear")]
    assert said[0][1].channel == "Winding Temperature"
    assert said[0][1].readings[0].value == pytest.approx(93.33, abs=0.01)


def test_a_rate_of_change_is_per_unit_of_time() -> None:
    rate = """
[[rules]]
id = "rises"
kind = "rate_of_change"
watch = "Bearing Temperature"
above = 5.5
clears_below = 1
per = "minute"
window_s = 40
severity = "medium"
summary = "it rises"
"""
    ramp = [20.0] * 60 + [20 + 0.1 * i for i in range(60)] + [26.0] * 80
    said = course(rules(rate), "Bearing Temperature", ramp)
    assert [v.transition for _, v in said] == ["raise", "clear"]
    (raised, verdict), (cleared, _) = said
    assert 90 < raised < 110
    assert 140 < cleared < 165
    assert verdict.readings[0].unit == "degC/min"
    assert verdict.readings[0].value == pytest.approx(5.6, abs=0.1)


@pytest.mark.parametrize(
    ("relation", "more", "values", "said"),
    [
        ("ratio", "above = 2", [30, 41, 39], [(1, "raise"), (2, "clear")]),
        ("difference", 'unit = "m3/h"\nbelow = -5', [30, 14, 16], [(1, "raise"), (2, "clear")]),
    ],
)
def test_channels_are_held_against_each_other(
    relation: str, more: str, values: list[float], said: list[tuple[int, str]]
) -> None:
    cross = f"""
[channels."Flow B"]
unit = "m3/h"
[[rules]]
id = "apart"
kind = "cross_channel"
first = "Flow"
second = "Flow B"
relation = "{relation}"
{more}
severity = "low"
summary = "they differ"
"""
    machine = info(*CHANNELS, ChannelInfo("Flow B", "m3/h", 1.0, "flow"))
    chain, found = Chain(models=False), []
    for at, value in enumerate(values):
        outlook = chain.feed(frame(at, rules(cross), machine, Flow=value))
        found += [(at, v.transition) for v in outlook.verdicts]
    assert found == said


def test_a_correlation_that_is_lost_is_seen() -> None:
    cross = """
[[rules]]
id = "apart"
kind = "cross_channel"
first = "Flow"
second = "Bearing Temperature"
relation = "correlation"
window_s = 32
below = 0.5
severity = "low"
summary = "they do not move together"
"""
    random = np.random.default_rng(1)
    flow = random.normal(20, 3, 200)
    other = np.where(np.arange(200) < 100, flow * 2 + 1, random.normal(41, 6, 200))
    chain, said = Chain(models=False), []
    for at in range(200):
        item = frame(at, rules(cross), Flow=flow[at], Bearing_Temperature=other[at])
        said += [(at, v.transition) for v in chain.feed(item).verdicts]
    assert said[0][1] == "raise"
    assert 100 < said[0][0] < 140


def test_an_expression_is_a_condition_or_a_number() -> None:
    head = """
[[rules]]
id = "{0}"
kind = "expression"
inputs = {{ t = "Bearing Temperature", f = "Flow" }}
severity = "low"
summary = "so it is"
"""
    file = rules(
        head.format("condition"), 'expression = "t - mean(t, 60) > 20 and f < 50"\n',
        head.format("number"), 'expression = "t / f"\nabove = 2\nclears_below = 1\n',
    )  # fmt: skip
    said = course(file, "Bearing Temperature", [20.0] * 30 + [60.0] + [15.0])
    assert brief(said) == [
        (30, "condition", "raise"), (30, "number", "raise"),
        (31, "condition", "clear"), (31, "number", "clear"),
    ]  # fmt: skip
    number = said[1][1]
    assert [(r.feature, r.unit) for r in number.readings] == [
        ("expression", "degC/m3/h"), ("mean", "degC"), ("mean", "m3/h"),
    ]  # fmt: skip


def test_the_energy_of_a_band_is_that_of_its_lines() -> None:
    band = """
[channels."Vibration"]
unit = "m/s2"
waveform = true
[[rules]]
id = "{0}"
kind = "band_energy"
watch = "quantity:acceleration"
unit = "g"
{1}
above = 0.1
severity = "low"
summary = "there is a line"
"""
    machine = info(
        ChannelInfo("Vibration", "m/s2", 3200.0, "acceleration"), **{"Nominal Speed": 50.0}
    )
    time = np.arange(3200) / 3200
    # 2 m/s2 at 100 Hz have an rms of 0.144 g.
    samples = {"Vibration": 2.0 * np.sin(2 * np.pi * 100 * time)}
    for name, limits, raised in (
        ("hz", "from_hz = 90\nto_hz = 110", True),
        ("beside", "from_hz = 120\nto_hz = 140", False),
        ("order", "from_order = 1.8\nto_order = 2.2", True),
        ("other-order", "from_order = 0.8\nto_order = 1.2", False),
    ):
        chain = Chain(models=False)
        item = Frame(machine, START_MS, START_MS, samples, rules=rules(band.format(name, limits)))
        found = chain.feed(item).verdicts
        assert bool(found) == raised, name
        if found:
            assert found[0].readings[0].value == pytest.approx(2 / math.sqrt(2) / 9.80665, rel=0.01)
    chain = Chain(models=False)
    chain.feed(
        Frame(machine, START_MS, START_MS, samples,
              rules=rules(band.format("high", "from_hz = 90\nto_hz = 1700")))
    )  # fmt: skip
    assert "1600 Hz at most" in chain.rules.unbound["high"]


def test_a_score_of_the_models_is_judged() -> None:
    score = """
[[rules]]
id = "far-off"
kind = "model_score"
score = "deviation"
watch = "Bearing Temperature"
above = 1.0
severity = "medium"
summary = "it is not what it was"
[[rules]]
id = "sick"
kind = "model_score"
score = "health"
below = 0.85
severity = "medium"
summary = "health is low"
"""
    file = rules(score)
    chain, said = Chain(models=True), []
    random = np.random.default_rng(2)
    for at in range(400):
        hot = 60.0 if at > 300 else 40.0
        values = {"Bearing_Temperature": hot + random.normal(0, 0.3), "Flow": random.normal(20, 1)}
        said += [(at, v.rule) for v in chain.feed(frame(at * 60, file, **values)).verdicts]
    assert said
    assert {rule for _, rule in said} == {"far-off", "sick"}
    assert all(at > 300 for at, _ in said)


def test_a_rule_is_judged_in_its_operating_mode_only() -> None:
    file = rules(HOT, 'when = ["running"]\non_delay_s = 2\n')
    chain, said = Chain(models=False), []
    speed = [0] * 5 + [3000] * 10 + [0] * 5 + [3000] * 8
    heat = [90] * 12 + [90] * 8 + [20] * 8
    for at, (turns, degrees) in enumerate(zip(speed, heat, strict=True)):
        item = frame(at, file, Speed=turns, Bearing_Temperature=degrees)
        said += [(at, v.transition) for v in chain.feed(item).verdicts]
    # Running for 3 s from 5 on, hot there for 2 s; while it stands still the alarm stays.
    assert said == [(10, "raise"), (23, "clear")]


def test_what_is_missing_neither_raises_nor_clears() -> None:
    file = rules(HOT, "on_delay_s = 3\noff_delay_s = 3\n")
    gap = [math.nan] * 10
    said = course(file, "Bearing Temperature", [90, *gap, 90, *gap, 20, *gap, 20])
    assert brief(said) == [(11, "hot", "raise"), (33, "hot", "clear")]


def test_a_rule_that_a_machine_cannot_have_says_why() -> None:
    file = rules(
        HOT.replace("hot", "a", 1).replace('"Bearing Temperature"', '"quantity:pressure"'),
        HOT.replace("hot", "b", 1) + 'equipment = ["Q-*"]\n',
        HOT.replace("hot", "c", 1).replace('"Bearing Temperature"', '"Flow/rolling_mean"'),
        HOT.replace("hot", "d", 1),
    )
    machine = info(ChannelInfo("Bearing Temperature", "bar", 1.0, "pressure"))
    chain = Chain(models=False)
    chain.feed(frame(0, file, machine))
    assert chain.rules.unbound == {
        "b": "it is for other equipment",
        "c": "it has no channel 'Flow'",
        "d": "'Bearing Temperature' is measured in bar, the rule in degC",
    }


def test_a_rule_in_shadow_raises_nothing_and_is_seen() -> None:
    file = rules(HOT, 'mode = "shadow"\n')
    stages = [kind() for _, kind in STAGES]
    found, would = [], []
    for at, value in enumerate([20.0, 90.0, 90.0, 20.0]):
        item: Any = frame(at, file, Bearing_Temperature=value)
        for stage in stages:
            item = stage.update(item)
            if isinstance(item, Outlook) and isinstance(stage, RuleEvaluation):
                would += list(item.would_raise)
        found.append(item)
    assert [f.advisories for f in found] == [[], [], [], []]
    assert would == ["hot"]
    series = [s for f in found for s in f.points.series if s.name == "rule/hot"]
    assert [list(s.value) for s in series] == [[0.0], [1.0], [1.0], [0.0]]


def test_an_active_rule_is_an_advisory_with_its_evidence() -> None:
    stages = [kind() for _, kind in STAGES]
    said = []
    for at, value in enumerate([20.0, 90.0, 20.0]):
        item: Any = frame(at, rules(HOT), Bearing_Temperature=value)
        for stage in stages:
            item = stage.update(item)
        said += item.advisories
    raised, cleared = said
    assert (raised.state, cleared.state) == (
        AdvisoryState.ADVISORY_STATE_RAISED,
        AdvisoryState.ADVISORY_STATE_CLEARED,
    )
    assert raised.advisory_id == cleared.advisory_id
    assert (raised.rule, raised.model_version) == ("rule/hot", "rules/pump/1")
    assert raised.summary == "P-1: it is hot; Bearing Temperature is 90 °C at a limit of 80 °C."
    assert cleared.summary == "P-1: returned to normal after: it is hot."
    assert raised.sent_time.ToMilliseconds() == START_MS + 1007
    (evidence,) = raised.evidence.features
    assert (evidence.value, evidence.limit, evidence.unit) == (90.0, 80.0, "degC")
    assert raised.evidence.channel == "Bearing Temperature"


class Changing:
    """A machine whose temperature and rules change; what is said of it."""

    def __init__(self) -> None:
        self.chain = Chain(models=False)
        self.at = 0

    def feed(self, file: RuleFile | None, *values: float) -> list[Verdict]:
        said: list[Verdict] = []
        for value in values:
            self.at += 1
            said += self.chain.feed(frame(self.at, file, Bearing_Temperature=value)).verdicts
        return said


OTHER = HOT.replace('"hot"', '"other"').replace("above = 80", "above = 200")


@pytest.mark.parametrize(
    ("name", "after", "value", "said"),
    [
        ("a newer version of the same", rules(HOT, version=2), 78, []),
        ("another rule beside it", rules(HOT, OTHER, version=2), 78, []),
        ("the rule is gone", rules(OTHER, version=2), 78, ["clear"]),
        ("all rules are gone", rules(version=2), 78, ["clear"]),
        ("for other machines", rules(HOT, 'equipment = ["Q-*"]\n', version=2), 78, ["clear"]),
        ("other words", rules(HOT.replace("high", "critical"), version=2), 78, ["update"]),
        ("in shadow", rules(HOT, 'mode = "shadow"\n', version=2), 78, ["clear"]),
        ("a higher limit", rules(HOT.replace("above = 80", "above = 90"), version=2), 78, []),
        (
            "a limit under which it is back",
            rules(HOT.replace("80", "90").replace("75", "79"), version=2), 78, ["clear"],
        ),
    ],
)  # fmt: skip
def test_a_change_of_the_rules_keeps_or_ends_what_stands(
    name: str, after: RuleFile, value: float, said: list[str]
) -> None:
    machine = Changing()
    (raised,) = machine.feed(rules(HOT), 20, 90)
    found = machine.feed(after, value)
    assert [v.transition for v in found] == said, name
    for verdict in found:
        assert verdict.advisory_id == raised.advisory_id
        assert verdict.revision == 2


def test_a_rule_that_leaves_the_shadow_raises_what_stands() -> None:
    machine = Changing()
    shadow = rules(HOT, 'mode = "shadow"\n')
    (would,) = machine.feed(shadow, 20, 90, 90)
    assert (would.shadow, would.advisory_id) == (True, "")
    (raised,) = machine.feed(rules(HOT, version=2), 90)
    assert (raised.transition, raised.shadow, raised.revision) == ("raise", False, 1)
    assert raised.window_start_ms == START_MS + 2000
    assert raised.advisory_id
    (cleared,) = machine.feed(None, 20)
    assert (cleared.transition, cleared.advisory_id) == ("clear", raised.advisory_id)


def test_ids_differ_by_version_rule_and_machine() -> None:
    ids = set()
    for file in (rules(HOT), rules(HOT, version=2), rules(HOT.replace('"hot"', '"warm"'))):
        for tag in ("P-1", "P-2"):
            chain = Chain(models=False)
            item = frame(0, file, replace(PUMP, equipment=tag), Bearing_Temperature=90.0)
            ids |= {v.advisory_id for v in chain.feed(item).verdicts}
    assert len(ids) == 6


def test_a_frame_that_brings_no_rules_goes_on_with_those_before() -> None:
    machine = Changing()
    assert [v.transition for v in machine.feed(rules(HOT), 20)] == []
    machine.chain.rules = RuleEvaluation.restore(
        pickle.loads(pickle.dumps(machine.chain.rules.state()))
    )
    assert [v.transition for v in machine.feed(None, 90, 20)] == ["raise", "clear"]


FILES = (
    rules(HOT, "on_delay_s = 2\noff_delay_s = 2\n"),
    rules(HOT, "on_delay_s = 2\noff_delay_s = 2\n", OTHER, version=2),
    rules(OTHER.replace("200", "80"), 'mode = "shadow"\n', version=3),
    rules(HOT.replace("high", "low"), 'when = ["running"]\n', version=4),
    rules(
        """
[[rules]]
id = "hot"
kind = "expression"
inputs = { t = "Bearing Temperature" }
expression = "t > 40 and t > mean(t, 10)"
severity = "low"
summary = "it is warmer than it was"
""",
        version=5,
    ),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 120) | st.just(math.nan),
            st.sampled_from([0.0, 3000.0]),
            st.integers(0, len(FILES) - 1),
        ),
        min_size=5,
        max_size=60,
    ),
    st.sets(st.integers(0, 59), max_size=8),
)
def test_a_restart_anywhere_says_the_same(
    steps: list[tuple[float, float, int]], restarts: set[int]
) -> None:
    def said(stops: set[int]) -> list[Verdict]:
        chain, found = Chain(models=False), []
        for at, (heat, turns, which) in enumerate(steps):
            if at in stops:
                state = pickle.loads(pickle.dumps(chain.rules.state()))
                chain.rules = RuleEvaluation.restore(state)
            item = frame(at, FILES[which], Bearing_Temperature=heat, Speed=turns)
            found += chain.feed(item).verdicts
        return found

    assert repr(said(restarts)) == repr(said(set()))


def test_the_state_of_a_machine_is_small() -> None:
    chain = Chain(models=False)
    file = RuleBook.starting().of("centrifugal_pump")
    for at in range(100):
        chain.feed(frame(at, file))
    assert len(pickle.dumps(chain.rules.state())) < 6000


def test_a_state_of_newer_code_is_refused() -> None:
    with pytest.raises(ValueError, match="schema 99"):
        RuleEvaluation.restore({"schema": 99})


def test_what_ships_says_nothing_of_a_healthy_machine(
    scenario_frames: Callable[..., Iterable[Frame]],
) -> None:
    book = RuleBook.starting()
    chain = Chain(models=False)
    for item in scenario_frames("healthy", seed=3, minutes=240):
        outlook = chain.feed(replace(item, rules=book.of(item.info.equipment_class)))
        assert outlook.verdicts == ()
    assert chain.rules.unbound == {}
