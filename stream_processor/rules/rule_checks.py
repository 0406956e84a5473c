"""Check one rule: what it watches, its unit, its limits, its expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stream_processor.rules.definitions import (
    PERIODS,
    AnyRule,
    BandEnergy,
    ChannelTable,
    CrossChannel,
    ExpressionRule,
    LimitedTable,
    ModelScore,
    RateOfChange,
)
from stream_processor.rules.expression import Expression, ExpressionError, parse
from stream_processor.rules.problems import Place
from stream_processor.rules.references import (
    Reference,
    UnknownReferenceError,
    refer,
    refer_deviation,
    refer_waveform,
)
from stream_processor.rules.rule_file import Limit
from stream_processor.rules.units import ONE, powers, product, written
from stream_processor.rules.vocabulary import SCORES

# What a number can be at all.
_RANGES: Mapping[str, tuple[float, float]] = {"correlation": (-1.0, 1.0), "health": (0.0, 1.0)}


class RuleError(ValueError):
    """A rule is wrong; `said` has the field and what is wrong with it."""

    def __init__(self, *said: tuple[Place, str]) -> None:
        super().__init__(str(said))
        self.said = said


@dataclass(frozen=True, slots=True)
class Made:
    """What a rule's table comes to."""

    references: tuple[Reference, ...]
    unit: str
    limit: Limit | None
    names: tuple[str, ...] = ()
    expression: Expression | None = None


def check_rule(table: AnyRule, channels: Mapping[str, ChannelTable]) -> Made:
    """Return what a rule comes to.

    Raises:
        RuleError: it is wrong.
    """
    match table:
        case ExpressionRule():
            return _expression(table, channels)
        case ModelScore():
            return _score(table, channels)
        case CrossChannel():
            return _cross(table, channels)
        case BandEnergy():
            return _band(table, channels)
    reference = _refer("watch", table.watch, channels, table.unit)
    unit = reference.unit
    if isinstance(table, RateOfChange):
        unit += "/" + PERIODS[table.per][0]
    return Made((reference,), unit, _limit(table))


def _refer(field: str, text: str, channels: Mapping[str, ChannelTable], unit: str) -> Reference:
    try:
        return refer(text, channels, unit)
    except UnknownReferenceError as error:
        raise RuleError(((_blamed(field, unit, str(error)),), str(error))) from error


def _blamed(field: str, unit: str, message: str) -> str:
    """Return the field that a message is about: the unit when it names the one that was given."""
    return "unit" if unit and message.startswith(repr(unit)) else field


def _limit(table: LimitedTable, name: str = "") -> Limit:
    """Return the limit of a rule.

    Raises:
        RuleError: there is none, or it would end before it begins.
    """
    above, below = table.above, table.below
    if above is None and below is None:
        raise RuleError(((), "`above` or `below` is missing: the limit it is compared with"))
    if above is not None and below is not None:
        raise RuleError((("below",), "`above` is given too: two limits are two rules"))
    if above is not None:
        side, on, ends, field = 1, above, table.clears_below, "clears_below"
        other, wrong = "clears_above", table.clears_above
    else:
        assert below is not None
        side, on, ends, field = -1, below, table.clears_above, "clears_above"
        other, wrong = "clears_below", table.clears_below
    if wrong is not None:
        begins = "above" if side > 0 else "below"
        raise RuleError(((other,), f"a rule with `{begins}` ends by `{field}`"))
    off = on if ends is None else ends
    if side * (off - on) > 0:
        there = "above" if side > 0 else "below"
        raise RuleError(
            (
                (field,),
                f"the off-limit {off:g} lies {there} the on-limit {on:g}: the alarm would end"
                f" before it began; give {on:g} or {'less' if side > 0 else 'more'}",
            )
        )
    low, high = _RANGES.get(name, (-float("inf"), float("inf")))
    for given, value in (("above" if side > 0 else "below", on), (field, off)):
        if not low <= value <= high:
            raise RuleError(((given,), f"{name} lies between {low:g} and {high:g}"))
    return Limit(side, on, off)


def _score(table: ModelScore, channels: Mapping[str, ChannelTable]) -> Made:
    limit = _limit(table, table.score)
    if table.score != "deviation":
        if table.watch:
            raise RuleError((("watch",), f"{table.score!r} is of the machine: leave it out"))
        return Made((), SCORES[table.score], limit)
    if not table.watch:
        raise RuleError(((), "`watch` is missing: the feature whose deviation is meant"))
    try:
        return Made((refer_deviation(table.watch, channels),), ONE, limit)
    except UnknownReferenceError as error:
        raise RuleError((("watch",), str(error))) from error


def _band(table: BandEnergy, channels: Mapping[str, ChannelTable]) -> Made:
    given = {
        name: getattr(table, name) is not None
        for name in ("from_hz", "to_hz", "from_order", "to_order")
    }
    in_hz, in_orders = given["from_hz"] or given["to_hz"], given["from_order"] or given["to_order"]
    if in_hz == in_orders or list(given.values()).count(True) != 2:
        raise RuleError(((), "a band is `from_hz` and `to_hz`, or `from_order` and `to_order`"))
    low, high = (table.from_hz, table.to_hz) if in_hz else (table.from_order, table.to_order)
    unit = "hz" if in_hz else "order"
    assert low is not None
    assert high is not None
    if low >= high:
        raise RuleError(
            ((f"from_{unit}",), f"{low:g} is not less than `to_{unit}`, which is {high:g}")
        )
    try:
        reference = refer_waveform(table.watch, channels, table.unit)
    except UnknownReferenceError as error:
        field = _blamed("watch", table.unit, str(error))
        raise RuleError(((field,), str(error))) from error
    return Made((reference,), reference.unit, _limit(table))


def _cross(table: CrossChannel, channels: Mapping[str, ChannelTable]) -> Made:
    if (table.relation == "correlation") != (table.window_s is not None):
        raise RuleError(((), "a correlation has a `window_s`, nothing else has one"))
    if table.relation == "difference":
        first = _refer("first", table.first, channels, table.unit)
        try:
            second = refer(table.second, channels, first.unit)
        except UnknownReferenceError as error:
            raise RuleError((("second",), str(error))) from error
        made = Made((first, second), first.unit, _limit(table))
    else:
        first = _refer("first", table.first, channels, "")
        second = _refer("second", table.second, channels, "")
        own = written(product(powers(first.unit), powers(second.unit), -1))
        unit = ONE if table.relation == "correlation" else own
        if table.unit and table.unit != unit:
            raise RuleError((("unit",), f"the {table.relation} is in {unit}: leave it out"))
        made = Made((first, second), unit, _limit(table, table.relation))
    if str(made.references[0]) == str(made.references[1]):
        raise RuleError((("second",), "it is the same as `first`: name another channel"))
    _alike("second", made.references)
    return made


def _alike(field: str, references: tuple[Reference, ...]) -> None:
    """Check that wildcards stand for the same channels.

    Raises:
        RuleError: they do not.
    """
    quantities = sorted({r.quantity for r in references if r.is_wildcard})
    if len(quantities) > 1:
        raise RuleError(
            (
                (field,),
                f"{' and '.join(quantities)} have channels of their own, which cannot be paired:"
                " one rule has wildcards of one quantity",
            )
        )


def _expression(table: ExpressionRule, channels: Mapping[str, ChannelTable]) -> Made:
    said: list[tuple[Place, str]] = []
    references: dict[str, Reference] = {}
    for name, text in table.inputs.items():
        field: Place = ("inputs", name)
        if not name.isascii() or not name.isidentifier() or name in ("and", "or", "not"):
            said.append((field, f"{name!r} is no name for an input: letters, digits and `_`"))
            continue
        try:
            references[name] = refer(text, channels)
        except UnknownReferenceError as error:
            said.append((field, str(error)))
    if said:
        raise RuleError(*said)
    _alike("inputs", tuple(references.values()))
    try:
        read = parse(table.expression, {name: powers(r.unit) for name, r in references.items()})
    except ExpressionError as error:
        raise RuleError((("expression",), _pointed(table.expression, error))) from error
    for name in references:
        if name not in read.inputs:
            raise RuleError((("inputs", name), "the expression does not use it: take it out"))
    if read.unit is not None:
        limit = _limit(table)
        return Made(
            tuple(references.values()), written(read.unit), limit, tuple(references), read
        )  # fmt: skip
    for field_name in ("above", "below", "clears_below", "clears_above"):
        if getattr(table, field_name) is not None:
            raise RuleError(
                ((field_name,), "the expression is true or false already: it has no limit")
            )
    return Made(tuple(references.values()), ONE, None, tuple(references), read)


def _pointed(text: str, error: ExpressionError) -> str:
    """Return the message with the place in the expression under it."""
    column = min(error.column, len(text))
    first = text.rfind("\n", 0, column) + 1
    line = text[first:].partition("\n")[0].replace("\t", " ").rstrip("\r")
    return f"{error}\n    {line}\n    {' ' * (column - first)}^"
