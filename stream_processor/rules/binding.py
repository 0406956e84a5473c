"""Bind the rules of a class to a machine: which of its features each one reads, in which unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stream_processor.kernels import spectrum
from stream_processor.rules.definitions import (
    PERIODS,
    BandEnergy,
    CrossChannel,
    ExpressionRule,
    ModelScore,
    RateOfChange,
)
from stream_processor.rules.references import MEAN, Reference
from stream_processor.rules.rule_file import Mode, Rule
from stream_processor.rules.units import ONE, conversion
from stream_processor.rules.windows import Window

if TYPE_CHECKING:
    from stream_processor.frames import Frame
    from stream_processor.stages.items import (
        Catalogue,
        Condition,
        Deviation,
        Observation,
        RemainingHours,
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """All that the stages say of one observation; `spectra` are those made so far."""

    frame: Frame
    deviation: Deviation
    condition: Condition
    remaining: RemainingHours | None
    spectra: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    @property
    def observation(self) -> Observation:
        """The features."""
        return self.deviation.observation

    @property
    def time_ms(self) -> int:
        """Event time."""
        return self.deviation.observation.time_ms


Read = Callable[[Moment], float]
# Values of the sources, event time, the gauge's windows → the number that is judged.
Compute = Callable[[Sequence[float], int, Sequence[Window]], float]


@dataclass(frozen=True, slots=True)
class Source:
    """A feature of the machine and how it is read, in the rule's unit; NaN when it is not there."""

    channel: str
    feature: str
    unit: str
    read: Read


@dataclass(frozen=True, slots=True)
class Gauge:
    """What a rule measures on one channel, or across several; `spans` are its windows' seconds."""

    key: str
    sources: tuple[Source, ...]
    compute: Compute
    spans: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule on a machine; without gauges it does not apply there, and `reason` says why."""

    rule: Rule
    gauges: tuple[Gauge, ...]
    reason: str = ""


class UnboundError(LookupError):
    """A machine has not what a rule or an operating mode needs."""


def bind(rule: Rule, known: Catalogue, modes: dict[str, Source | str]) -> BoundRule:
    """Return a rule on a machine; `modes` has a mode's source, or why it has none."""
    if not rule.concerns(known.info.equipment):
        return BoundRule(rule, (), "it is for other equipment")
    for name in rule.table.when:
        found = modes[name]
        if isinstance(found, str):
            return BoundRule(rule, (), f"operating mode {name}: {found}")
    try:
        return BoundRule(rule, tuple(_gauges(rule, known)))
    except UnboundError as error:
        return BoundRule(rule, (), str(error))


def bind_mode(mode: Mode, known: Catalogue) -> Source | str:
    """Return what tells of an operating mode on a machine, or why nothing does."""
    try:
        return _sources(mode.reference, known)[0]
    except UnboundError as error:
        return str(error)


def _gauges(rule: Rule, known: Catalogue) -> list[Gauge]:
    """Return a gauge a channel that the rule's wildcards stand for.

    Raises:
        UnboundError: the machine has not what the rule needs.
    """
    table = rule.table
    if isinstance(table, ModelScore) and table.score != "deviation":
        source = Source("", table.score, rule.unit, _SCORES[table.score])
        return [Gauge("", (source,), _first)]
    if isinstance(table, BandEnergy):
        columns = [_bands(table, rule.references[0], known)]
    elif isinstance(table, ModelScore):
        columns = [_deviations(rule.references[0], known)]
    else:
        columns = [_sources(reference, known) for reference in rule.references]
    compute, spans = _computation(rule)
    wild = [i for i, reference in enumerate(rule.references) if reference.is_wildcard]
    if not wild:
        return [Gauge("", tuple(column[0] for column in columns), compute, spans)]
    common = [s.channel for s in columns[wild[0]]]
    for i in wild[1:]:
        others = {s.channel for s in columns[i]}
        common = [channel for channel in common if channel in others]
    if not common:
        raise UnboundError("no channel has all that it needs")
    return [
        Gauge(
            channel,
            tuple(
                next(s for s in column if s.channel == channel) if i in wild else column[0]
                for i, column in enumerate(columns)
            ),
            compute,
            spans,
        )
        for channel in common
    ]


def _channels(reference: Reference, known: Catalogue) -> list[str]:
    if reference.channel:
        if reference.channel not in known.info.channels:
            raise UnboundError(f"it has no channel {reference.channel!r}")
        return [reference.channel]
    return [c.name for c in known.info.channels.values() if c.quantity == reference.quantity]


def _sources(reference: Reference, known: Catalogue) -> list[Source]:
    """Return the features that a reference names on a machine.

    Raises:
        UnboundError: there is none, or it is measured in something else.
    """
    found = []
    for channel in _channels(reference, known):
        place = _place(channel, reference.feature, known)
        if place is not None:
            found.append(_converted(channel, reference, *place))
    if not found:
        raise UnboundError(f"it has no {reference}")
    return found


def _place(channel: str, feature: str, known: Catalogue) -> tuple[Read, str] | None:
    """Return how a feature of a channel is read, and its unit; None when there is none."""
    for j, info in enumerate(known.features):
        if (info.channel, info.name) == (channel, feature):
            return partial(_value, j=j), info.unit
    for j, info in enumerate(known.trends):
        if (info.channel, info.name) == (channel, feature):
            return partial(_trend, j=j), info.unit
    if feature == MEAN and channel in known.drivers:
        driver = known.drivers.index(channel)
        return partial(_driver, j=driver), known.info.channels[channel].unit
    if feature == "drift" and channel in known.watched_slow:
        return partial(_drift, j=known.watched_slow.index(channel)), ONE
    return None


def _value(moment: Moment, j: int) -> float:
    return moment.observation.value(j)


def _trend(moment: Moment, j: int) -> float:
    return float(moment.observation.trends[j])


def _driver(moment: Moment, j: int) -> float:
    return float(moment.observation.drivers[j])


def _drift(moment: Moment, j: int) -> float:
    return float(moment.deviation.drift_ratio[j])


def _deviation(moment: Moment, j: int) -> float:
    return float(moment.deviation.ratio[j])


def _converted(channel: str, reference: Reference, read: Read, unit: str) -> Source:
    scale = conversion(unit, reference.unit)
    if scale is None:
        raise UnboundError(f"{channel!r} is measured in {unit}, the rule in {reference.unit}")
    factor, offset = scale
    if scale == (1.0, 0.0):
        return Source(channel, reference.feature, reference.unit, read)
    return Source(
        channel, reference.feature, reference.unit, lambda m: factor * read(m) + offset
    )  # fmt: skip


def _deviations(reference: Reference, known: Catalogue) -> list[Source]:
    found = []
    for channel in _channels(reference, known):
        for j, info in enumerate(known.features):
            if (info.channel, info.name) == (channel, reference.feature):
                found.append(Source(channel, "deviation", ONE, partial(_deviation, j=j)))
    if not found:
        raise UnboundError(f"it has no {reference} that is followed")
    return found


def _bands(table: BandEnergy, reference: Reference, known: Catalogue) -> list[Source]:
    found = []
    for channel in _channels(reference, known):
        if channel not in known.vibration:
            continue
        rate = known.info.channels[channel].sample_rate_hz
        if table.to_hz is not None and table.to_hz > rate / 2:
            raise UnboundError(
                f"{channel!r} has {rate:g} samples a second, which hold {rate / 2:g} Hz at most"
            )
        read = _band(table, channel, rate, _shaft(known))
        unit = known.info.channels[channel].unit
        found.append(_converted(channel, Reference("band_energy", reference.unit), read, unit))
    if not found:
        raise UnboundError(f"it has no waveform {reference}")
    if table.from_order is not None and not _shaft_is_known(known):
        raise UnboundError("it has neither a speed nor a nominal speed to tell orders by")
    return found


def _band(table: BandEnergy, channel: str, rate: float, shaft: Read) -> Read:
    def read(moment: Moment) -> float:
        samples = moment.frame.samples.get(channel)
        if samples is None or np.count_nonzero(np.isfinite(samples)) < samples.size // 2 + 1:
            return math.nan
        power = moment.spectra.get(channel)
        if power is None:
            power = spectrum.power_spectrum(spectrum.fill_gaps(samples))
            moment.spectra[channel] = power
        low, high, unit_hz = table.from_hz, table.to_hz, 1.0
        if low is None or high is None:
            low, high, unit_hz = table.from_order or 0.0, table.to_order or 0.0, shaft(moment)
        if not unit_hz > 0.0 or high * unit_hz > rate / 2:
            return math.nan
        resolution = rate / samples.size
        band = spectrum.band_power(power, resolution, low * unit_hz, high * unit_hz)
        return math.sqrt(band)

    return read


def _speeds(known: Catalogue) -> list[str]:
    return [n for n in known.drivers if known.info.channels[n].quantity == "speed"]


def _shaft_is_known(known: Catalogue) -> bool:
    return bool(_speeds(known)) or _nominal_hz(known) > 0.0


def _nominal_hz(known: Catalogue) -> float:
    nominal = known.info.facts.get("Nominal Speed")
    return float(nominal) if isinstance(nominal, int | float) else math.nan


def _shaft(known: Catalogue) -> Read:
    """Return how the shaft's frequency is read: measured, else as declared."""
    speeds = [known.drivers.index(name) for name in _speeds(known)]
    nominal = _nominal_hz(known)

    def read(moment: Moment) -> float:
        for j in speeds:
            if moment.observation.drivers[j] > 0.0:
                return float(moment.observation.drivers[j]) / 60.0
        return nominal

    return read


_SCORES: dict[str, Read] = {
    "edge": lambda m: m.deviation.edge_ratio,
    "forest": lambda m: m.deviation.forest_ratio,
    "surprise": lambda m: m.deviation.surprise_ratio,
    "severity": lambda m: m.condition.severity,
    "health": lambda m: m.condition.health,
    "remaining_life": lambda m: math.nan if m.remaining is None else m.remaining.median,
}


def spans_of(rule: Rule) -> tuple[float, ...]:
    """Return the lengths of the windows a rule looks back over, in seconds."""
    return _computation(rule)[1]


def _computation(rule: Rule) -> tuple[Compute, tuple[float, ...]]:
    """Return what is made of a rule's sources, and the windows it needs."""
    table = rule.table
    if isinstance(table, RateOfChange):
        return _rate(PERIODS[table.per][1]), (table.window_s,)
    if isinstance(table, CrossChannel):
        if table.relation == "correlation":
            return _correlation, (table.window_s or 0.0,)
        return (_ratio if table.relation == "ratio" else _difference), ()
    if isinstance(table, ExpressionRule):
        expression = rule.expression
        assert expression is not None
        evaluate, names, windowed = expression.evaluate, rule.names, expression.windows

        def compute(values: Sequence[float], time_ms: int, windows: Sequence[Window]) -> float:
            def window(at: int, value: float) -> float:
                if not math.isfinite(value):
                    return math.nan
                windows[at].add(time_ms, time_ms / 1000.0, value)
                mean = windowed[at].function == "mean"
                return windows[at].mean() if mean else windows[at].slope()

            return evaluate(dict(zip(names, values, strict=True)), window)

        return compute, tuple(w.seconds for w in windowed)
    return _first, ()


def _first(values: Sequence[float], _time_ms: int, _windows: Sequence[Window]) -> float:
    return values[0]


def _ratio(values: Sequence[float], _time_ms: int, _windows: Sequence[Window]) -> float:
    return values[0] / values[1] if values[1] else math.nan


def _difference(values: Sequence[float], _time_ms: int, _windows: Sequence[Window]) -> float:
    return values[0] - values[1]


def _correlation(values: Sequence[float], time_ms: int, windows: Sequence[Window]) -> float:
    if not (math.isfinite(values[0]) and math.isfinite(values[1])):
        return math.nan
    windows[0].add(time_ms, values[0], values[1])
    return windows[0].correlation()


def _rate(period_s: float) -> Compute:
    def compute(values: Sequence[float], time_ms: int, windows: Sequence[Window]) -> float:
        if not math.isfinite(values[0]):
            return math.nan
        windows[0].add(time_ms, time_ms / 1000.0, values[0])
        return windows[0].slope() * period_s

    return compute
