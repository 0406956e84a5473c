"""Frames by event time through acquisition and the stages: order, lateness, restarts, marks."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_api import points as kept
from cloud_api.historian.duckdb import DuckDBHistorian
from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload
from stream_processor.acquisition import Acquisition
from stream_processor.frames import Frame
from stream_processor.messages import Mark, Message, SetAside
from stream_processor.stages import STAGES
from stream_processor.stages.correction import Correction
from stream_processor.v1.alert_pb2 import Advisory
from stream_processor.v1.points_pb2 import Points

NOW = 1_800_000_000.0
BEGIN = int(NOW * 1000) - 3_600_000
FOREIGN = Payload(timestamp=1, metrics=[Metric(name="bdSeq", long_value=0)]).SerializeToString()
TRUTH = np.random.default_rng(5).normal(60.0, 0.5, 120)
TRUTH[80:] += 25.0


def temperature(number: int, every_s: int = 1) -> Metric:
    """Return the reading of a second."""
    return Metric(
        alias=3,
        timestamp=BEGIN + number * every_s * 1000,
        bytes_value=TRUTH[[number]].astype("<f8").tobytes(),
    )


@dataclass
class Line:
    """Acquisition and the stages of one machine, without an engine around them."""

    payloads: Any
    lateness_s: float = 0.0
    numbered: bool = False
    clock: str = "live"
    fact_s: float | None = None
    log: int = 0
    now: float = NOW
    stages: list[Any] = field(default_factory=lambda: [stage() for _, stage in STAGES])
    frames: list[Frame] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)
    advisories: list[Advisory] = field(default_factory=list)
    points: list[Points] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.acquisition = Acquisition(self.lateness_s)
        self.hear("NBIRTH", self.payloads.node_birth() if self.numbered else FOREIGN)
        self.birth()

    def birth(self) -> None:
        birth = Payload.FromString(self.payloads.device_birth(self.clock))
        if self.fact_s is not None:
            birth.metrics.add(
                name="Equipment/Lateness",
                datatype=DataType.DATA_TYPE_DOUBLE,
                double_value=self.fact_s,
            )
        self.hear("DBIRTH", birth.SerializeToString(), "P-101")

    def hear(self, kind: str, payload: bytes, equipment: str = "") -> list[Any]:
        self.log += 1
        topic = f"riverside.{kind}.gateway-1"
        subject = f"tele.0.{topic}.{equipment}" if equipment else f"spBv1//0.{topic}"
        message = Message(subject, payload, self.log, int(self.now * 1000))
        found = self.acquisition.update(message, self.now)
        for item in found:
            self.keep(item)
        return found

    def keep(self, item: Any) -> None:
        if isinstance(item, SetAside):
            self.aside.append(item)
        elif isinstance(item, Frame):
            self.frames.append(item)
            if item.late:
                self.points.append(Correction().update(item).points)
                return
            for stage in self.stages:
                item = stage.update(item)
            self.points.append(item.points)
            for advisory in item.advisories:
                # The only part that says in which order batches came.
                advisory.evidence.trace_id = ""
                self.advisories.append(advisory)

    def reading(self, number: int, batch: int | None = None) -> list[Any]:
        """Send the reading of a second, under a number of its own or none."""
        payload = Payload(timestamp=BEGIN + number * 1000 + 7, metrics=[temperature(number)])
        if batch is not None:
            self.payloads.number(payload, 1, batch)
        return self.hear("DDATA", payload.SerializeToString(), "P-101")

    def restart(self) -> None:
        state = pickle.loads(pickle.dumps(self.acquisition.state()))
        self.acquisition = Acquisition.restore(state, self.now, self.lateness_s)
        self.stages = [
            kind.restore(pickle.loads(pickle.dumps(stage.state())))
            for (_, kind), stage in zip(STAGES, self.stages, strict=True)
        ]

    @property
    def taken(self) -> list[int]:
        """The seconds that the stages took, in order."""
        return [(f.start_time_ms - BEGIN) // 1000 for f in self.frames if not f.late]

    @property
    def late(self) -> list[int]:
        return [(f.start_time_ms - BEGIN) // 1000 for f in self.frames if f.late]

    def stored(self, aggregates: bool = False) -> dict[tuple[str, int], tuple[float, ...]]:
        """Return what a store that replaces by series and time would hold."""
        found: dict[tuple[str, int], tuple[float, ...]] = {}
        for message in self.points:
            for a in message.aggregates:
                columns = (a.mean, a.minimum, a.maximum, a.count, a.coverage)
                for time_ms, *row in zip(a.time_ms, *columns, strict=True):
                    found[a.channel, time_ms] = tuple(row)
            for s in message.series if not aggregates else ():
                for time_ms, *pair in zip(s.time_ms, s.value, s.coverage or s.value, strict=True):
                    found[s.name, time_ms] = tuple(pair)
        return found


def fed(line: Line, numbers: Iterable[int], restarts: Iterable[int] = ()) -> Line:
    """Feed readings in this order, the batches numbered in this order."""
    for place, number in enumerate(numbers, 1):
        if place in restarts:
            line.restart()
        line.reading(number, place if line.numbered else None)
    return line


@pytest.fixture(scope="session")
def in_order(payloads: Any) -> Line:
    """All readings in order, one of which raises an alarm."""
    line = fed(Line(payloads), range(TRUTH.size))
    assert len({a.advisory_id for a in line.advisories}) == 1
    return line


def shuffled(count: int, reach: int, seed: int) -> list[int]:
    """Return numbers none of which comes after one that is more than `reach` larger."""
    chance = random.Random(seed)
    keys = [number + chance.uniform(0, reach) for number in range(count)]
    return sorted(range(count), key=keys.__getitem__)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    numbered=st.booleans(),
    restarts=st.sets(st.integers(1, TRUTH.size), max_size=4),
)
def test_any_order_within_the_lateness_changes_nothing(
    payloads: Any, in_order: Line, seed: int, numbered: bool, restarts: set[int]
) -> None:
    """Same advisories, features and points, wherever the processor was stopped and started."""
    line = Line(payloads, lateness_s=6.0, numbered=numbered)
    fed(line, shuffled(TRUTH.size, 5, seed), restarts)
    line.hear("NDEATH", payloads.node_birth() if numbered else FOREIGN)
    assert line.taken == list(range(TRUTH.size))
    assert line.late == []
    assert line.advisories == in_order.advisories
    assert line.stored() == in_order.stored()


@settings(max_examples=15, deadline=None)
@given(
    order=st.permutations(range(40)),
    again=st.lists(st.integers(0, 39), max_size=10),
    lateness_s=st.sampled_from([0.0, 3.0]),
    restarts=st.sets(st.integers(1, 50), max_size=4),
)
def test_any_order_at_all_gives_the_same_aggregates(
    payloads: Any,
    in_order: Line,
    order: Sequence[int],
    again: list[int],
    lateness_s: float,
    restarts: set[int],
) -> None:
    line = fed(Line(payloads, lateness_s=lateness_s), [*order, *again], restarts)
    line.hear("NDEATH", FOREIGN)
    expected = {k: v for k, v in in_order.stored(True).items() if k[1] < BEGIN + 40_000}
    assert line.stored(True) == expected


def test_the_historian_holds_the_same_whatever_the_order(
    payloads: Any, in_order: Line, tmp_path: Path
) -> None:
    held = []
    order = shuffled(TRUTH.size, 200, 1)
    for name, line in (("a", in_order), ("b", fed(Line(payloads), [*order, *order[:20]]))):
        assert (name == "b") == bool(line.late)
        historian = DuckDBHistorian(tmp_path / f"{name}.duckdb")
        for at in range(0, len(line.points), 25):
            messages = line.points[at : at + 25]
            historian.write([block for message in messages for block in kept.blocks(message)])
        end_ms = BEGIN + TRUTH.size * 1000
        trend = historian.query("riverside", "P-101", "Temperature", BEGIN, end_ms, 1000)
        held.append((trend.time_ms.tolist(), trend.value.tolist(), trend.maximum.tolist()))
        historian.close()
    assert held[0] == held[1]
    assert len(held[0][0]) == TRUTH.size


@settings(max_examples=10, deadline=None)
@given(again=st.lists(st.integers(1, 100), max_size=60), restarts=st.sets(st.integers(1, 160)))
def test_batches_that_come_twice_change_nothing(
    payloads: Any, again: list[int], restarts: set[int]
) -> None:
    plain, line = Line(payloads, numbered=True), Line(payloads, numbered=True)
    fed(plain, range(100))
    sent = sorted([*range(1, 101), *again])
    for place, batch in enumerate(sent):
        if place in restarts:
            line.restart()
        line.reading(batch - 1, batch)
    assert line.advisories == plain.advisories
    assert line.stored() == plain.stored()
    assert line.taken == plain.taken


def test_a_late_frame_corrects_the_historian_and_alarms_nobody(payloads: Any) -> None:
    line = fed(Line(payloads), [*range(70), *range(90, 119)])
    assert line.advisories
    said = len(line.advisories)
    state = pickle.dumps([stage.state() for stage in line.stages])
    # An alarm's own time, again, and what nobody has seen.
    fed(line, range(78, 84))
    assert len(line.advisories) == said
    assert pickle.dumps([stage.state() for stage in line.stages]) == state, "something was learnt"
    assert line.late == [78, 79, 80, 81, 82, 83]
    assert [p.late for p in line.points[-7:]] == [False, *[True] * 6]
    assert line.stored()["Temperature", BEGIN + 81_000][0] == TRUTH[81]
    assert line.acquisition.counts["late_frames"] == 6


def test_a_clock_put_back_during_an_alarm_is_no_second_alarm(payloads: Any) -> None:
    line = Line(payloads, clock="simulated")
    fed(line, range(100))
    assert len({a.advisory_id for a in line.advisories}) == 1
    # The same machine, as hot as before, an hour earlier.
    for number in range(60):
        at = BEGIN - 3_600_000 + number * 1000
        reading = Metric(alias=3, timestamp=at, bytes_value=TRUTH[[90]].astype("<f8").tobytes())
        payload = Payload(timestamp=at, metrics=[reading])
        line.hear("DDATA", payload.SerializeToString(), "P-101")
    assert line.acquisition.counts["clock_steps"] == 1
    assert len({a.advisory_id for a in line.advisories}) == 1
    for advisory in line.advisories:
        start, end = advisory.window_start_time, advisory.window_end_time
        assert start.ToMilliseconds() <= end.ToMilliseconds()


def test_a_birth_says_how_late_its_device_may_be(payloads: Any) -> None:
    line = Line(payloads, fact_s=4.0)
    fed(line, [0, 1, 2, 3])
    assert line.taken == []
    fed(line, [5])
    assert line.taken == [0, 1, 2, 3]
    fed(line, [4, 6])
    assert line.taken == [0, 1, 2, 3, 4, 5, 6]
    for nonsense in (-1.0, float("nan")):
        other = fed(Line(payloads, fact_s=nonsense), [0, 2, 1])
        assert (other.taken, other.late) == ([0, 2], [1])


def test_what_waits_is_not_acknowledged(payloads: Any) -> None:
    line = fed(Line(payloads, fact_s=3.0, numbered=True), [0, 1, 2, 3])
    assert line.taken == [0, 1, 2, 3]
    assert line.acquisition.marks() == [Mark("riverside", "gateway-1", 1, 4)]
    line.reading(6, 5)
    line.reading(7, 6)
    line.restart()
    assert line.acquisition.marks()[-1].batch == 4
    assert line.acquisition.counts["processed"] == 4
    line.reading(10, 7)
    assert line.taken == [0, 1, 2, 3, 6, 7]
    assert line.acquisition.marks()[-1].batch == 6


@pytest.mark.parametrize("kind", ["NDEATH", "DDEATH"])
def test_who_dies_is_not_waited_for(payloads: Any, kind: str) -> None:
    line = fed(Line(payloads, fact_s=3.0), [0, 1, 2, 3, 6])
    assert line.taken == [0, 1, 2, 3]
    line.hear(kind, FOREIGN, "P-101" if kind == "DDEATH" else "")
    assert line.taken == [0, 1, 2, 3, 6]


def test_a_silent_device_is_waited_for_by_the_time_of_the_log_and_alone(payloads: Any) -> None:
    line = fed(Line(payloads, fact_s=3.0), [0, 1, 2, 3, 6])
    line.hear("DBIRTH", payloads.device_birth(), "P-102")
    block = payloads.block(None, start_ms=BEGIN, sent_ms=BEGIN)
    found = line.hear("DDATA", block, "P-102")
    assert [f.info.equipment for f in found] == ["P-102"]
    line.now += 3.0
    found = line.hear("DDATA", block, "P-102")
    assert sorted(f.info.equipment for f in found) == ["P-101", "P-102"]
    assert line.taken[:5] == [0, 1, 2, 3, 0]


def test_a_hostile_time_moves_no_watermark(payloads: Any) -> None:
    line = fed(Line(payloads), range(10))
    before = line.acquisition.devices.timelines["P-101"].watermark_ms
    year = 365 * 86_400_000
    for start, sent in ((year, 0), (year, year), (-year, 0)):
        at = int(line.now * 1000)
        payload = payloads.block(None, start_ms=at + start, sent_ms=at + sent)
        line.hear("DDATA", payload, "P-101")
    assert [a.reason for a in line.aside] == ["TIME_IN_FUTURE", "TIME_IN_FUTURE", "TIME_TOO_OLD"]
    assert line.acquisition.devices.timelines["P-101"].watermark_ms == before
    assert fed(line, range(10, 20)).taken == list(range(20))


def test_watermarks_are_news_once_and_none_of_who_is_away(payloads: Any) -> None:
    line = fed(Line(payloads, lateness_s=2.0), [0, 1, 2, 3, 4])
    assert line.acquisition.watermarks() == {"riverside/P-101": BEGIN + 4000}
    assert line.acquisition.watermarks() == {}
    line.hear("DDEATH", FOREIGN, "P-101")
    assert line.acquisition.watermarks() == {"riverside/P-101": None}
    assert fed(Line(payloads, clock="simulated"), [1, 2]).acquisition.watermarks() == {}


STEPS = {
    "back by two seconds": (-2, 1, 0, {}),
    "back by half a minute": (-30, 4, 1, {}),
    "back by an hour": (-3600, 4, 1, {}),
    "back by forty days": (-40 * 86_400, 4, 1, {}),
    "ahead by half a minute": (30, 0, 0, {}),
    "ahead by an hour": (3600, 0, 0, {"TIME_IN_FUTURE": 30}),
    "ahead by a year": (365 * 86_400, 0, 0, {"TIME_IN_FUTURE": 30}),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("begins", [90, 60], ids=["during an alarm", "before an alarm"])
def test_steps_of_a_live_clock(payloads: Any, name: str, begins: int) -> None:
    """The gateway's own clock is wrong for half a minute; the machine runs hot from second 80."""
    step_s, late, steps, dead = STEPS[name]
    line = Line(payloads, numbered=True)
    for number in range(begins + 60):
        line.now = NOW + number
        wrong_s = step_s if begins <= number < begins + 30 else 0
        at = int(line.now + wrong_s) * 1000
        heat = TRUTH[[min(number, TRUTH.size - 1)]]
        reading = Metric(alias=3, timestamp=at, bytes_value=heat.astype("<f8").tobytes())
        payload = Payload(timestamp=at, metrics=[reading])
        payloads.number(payload, 1, number + 1)
        line.hear("DDATA", payload.SerializeToString(), "P-101")
        if number < begins + 30:
            assert len(line.late) <= late
    # Corrected again: what was ahead steps back.
    back_again = steps + (0 < step_s <= 60)
    assert line.acquisition.counts["clock_steps"] == back_again
    assert len(line.late) == late + 4 * (0 < step_s <= 60)
    assert {a.reason for a in line.aside} == set(dead)
    assert len(line.aside) == sum(dead.values())
    assert len(line.frames) + len(line.aside) == begins + 60
    assert not line.frames[-1].late
    assert len({a.advisory_id for a in line.advisories}) == 1, "one fault is one alarm"
    assert [a.revision for a in line.advisories] == list(range(1, len(line.advisories) + 1))


def test_the_parts_of_a_second_add_up_when_one_of_them_is_late(payloads: Any) -> None:
    line = Line(payloads)
    samples = np.random.default_rng(2).normal(size=6400).astype(np.float32)
    for half in (0, 2, 3, 1, 1):
        part = samples[half * 1600 : (half + 1) * 1600]
        start_ms = BEGIN + half * 500
        block = payloads.block(None, samples=part, start_ms=start_ms, sent_ms=BEGIN)
        line.hear("DDATA", block, "P-101")
    rows = [row for (name, at), row in line.stored(True).items() if at < BEGIN + 1000]
    assert len(rows) == 2
    mean, low, high, count, coverage = np.array(rows).T
    whole = samples[:3200].astype(np.float64)
    assert np.average(mean, weights=count) == pytest.approx(whole.mean())
    assert (low.min(), high.max()) == (whole.min(), whole.max())
    assert (count.sum(), coverage.sum()) == (3200, 1.0)
