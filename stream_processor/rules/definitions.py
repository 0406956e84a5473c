"""A rule file as its author writes it: the tables of TOML, typed.

The classes are the schema: what reads a file, what explains its errors and what an editor is given
(`schema()`) come from them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from stream_processor.rules.vocabulary import ALL_QUANTITIES, FAILURE_MODES, SCORES, SEVERITIES

SCHEMA_ID: Final = "https://headrace.dev/schemas/rules.json"
LONGEST_DELAY_S: Final = 30 * 86_400.0
LONGEST_WINDOW_S: Final = 7 * 86_400.0
MOST_RULES: Final = 200
NAME: Final = "^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$"

Name = Annotated[str, Meta(pattern=NAME)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Delay = Annotated[float, Meta(ge=0, le=LONGEST_DELAY_S, description="Seconds of event time.")]
Span = Annotated[float, Meta(gt=0, le=LONGEST_WINDOW_S, description="Seconds of event time.")]
Watch = Annotated[
    str,
    Meta(
        min_length=1,
        description="`{channel}/{feature}`, `{channel}` for its readings, or every channel of a"
        " quantity: `quantity:temperature`, `quantity:acceleration/velocity_rms`.",
    ),
]
UnitName = Annotated[str, Meta(description="Of the limits; that of what is watched by default.")]
Limit = Annotated[float | None, Meta(description="In the rule's unit.")]
Period = Literal["second", "minute", "hour", "day"]
# How the unit of a rate names a period, and its seconds.
PERIODS: Final = {
    "second": ("s", 1.0),
    "minute": ("min", 60.0),
    "hour": ("h", 3600.0),
    "day": ("d", 86_400.0),
}


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any table of a rule file."""


class ChannelTable(Table, frozen=True, kw_only=True):
    """A `[channels."…"]` table: a channel of the class that rules name."""

    unit: Annotated[str, Meta(min_length=1, description="As the device's birth declares it.")]
    quantity: Annotated[str, Meta(description="What it measures, for recordings.")] = "other"
    waveform: Annotated[
        bool, Meta(description="Sampled fast enough to have features of vibration.")
    ] = False


class ModeTable(Table, frozen=True, kw_only=True):
    """A `[modes.…]` table: an operating mode, in which a rule is judged."""

    watch: Watch
    unit: UnitName = ""
    above: Limit = None
    below: Limit = None
    for_s: Annotated[Delay, Meta(description="How long it must have been so.")] = 0.0


class RuleTable(Table, frozen=True, kw_only=True, tag_field="kind"):
    """What every `[[rules]]` table has."""

    id: Annotated[Name, Meta(description="Unique in the file; alarms and charts go by it.")]
    severity: Annotated[str, Meta(description="How bad it is (ISA-18.2 priorities).")]
    summary: Annotated[Text, Meta(description="What is wrong, in words; numbers are added.")]
    failure_mode: Annotated[str, Meta(description="What is probably wrong.")] = "undetermined"
    mode: Annotated[
        Literal["active", "shadow"], Meta(description="In shadow it is only counted and charted.")
    ] = "active"
    when: Annotated[
        list[str], Meta(description="Operating modes in all of which the machine must be.")
    ] = []
    equipment: Annotated[
        list[str], Meta(description="Tags the rule is for, `*` for anything; all by default.")
    ] = []
    on_delay_s: Delay = 0.0
    off_delay_s: Delay = 0.0

    # What of a rule is told, and can change without touching what is judged.
    WORDING: ClassVar = ("severity", "summary", "failure_mode", "mode")


class LimitedTable(RuleTable, frozen=True, kw_only=True):
    """A rule that compares a number with a limit: `above` or `below`."""

    above: Limit = None
    below: Limit = None
    clears_below: Annotated[
        float | None, Meta(description="Where it ends after `above`; there by default.")
    ] = None
    clears_above: Annotated[
        float | None, Meta(description="Where it ends after `below`; there by default.")
    ] = None


class Threshold(LimitedTable, frozen=True, kw_only=True, tag="threshold"):
    """A feature beyond a limit."""

    watch: Watch
    unit: UnitName = ""


class RateOfChange(LimitedTable, frozen=True, kw_only=True, tag="rate_of_change"):
    """A feature that changes too fast: its least-squares slope over a window."""

    watch: Watch
    window_s: Span
    per: Annotated[Period, Meta(description="The time in the limit's unit.")] = "hour"
    unit: UnitName = ""


class BandEnergy(LimitedTable, frozen=True, kw_only=True, tag="band_energy"):
    """The rms of a waveform between two frequencies, in Hz or in orders of the shaft."""

    watch: Annotated[str, Meta(min_length=1, description="A waveform, or `quantity:acceleration`.")]
    from_hz: Annotated[float, Meta(ge=0)] | None = None
    to_hz: Annotated[float, Meta(gt=0)] | None = None
    from_order: Annotated[float, Meta(ge=0)] | None = None
    to_order: Annotated[float, Meta(gt=0)] | None = None
    unit: UnitName = ""


class ModelScore(LimitedTable, frozen=True, kw_only=True, tag="model_score"):
    """What a model says of the machine, or with `deviation` of one feature."""

    score: Annotated[str, Meta(description="Which one.")]
    watch: Annotated[str, Meta(description="Of `deviation`: whose.")] = ""


class CrossChannel(LimitedTable, frozen=True, kw_only=True, tag="cross_channel"):
    """Two features against each other."""

    first: Watch
    second: Watch
    relation: Literal["ratio", "difference", "correlation"]
    window_s: Span | None = None
    unit: UnitName = ""


class ExpressionRule(LimitedTable, frozen=True, kw_only=True, tag="expression"):
    """A condition over several features, or a number made of them and its limit."""

    expression: Annotated[
        str, Meta(min_length=1, description="Such as `outlet - inlet > 12 and flow > 5`.")
    ]
    inputs: Annotated[
        dict[str, str], Meta(min_length=1, description="Its names, and what each stands for.")
    ]


AnyRule = Threshold | RateOfChange | BandEnergy | ModelScore | CrossChannel | ExpressionRule
KINDS: Final[dict[str, type[RuleTable]]] = {
    "threshold": Threshold,
    "rate_of_change": RateOfChange,
    "band_energy": BandEnergy,
    "model_score": ModelScore,
    "cross_channel": CrossChannel,
    "expression": ExpressionRule,
}


class RuleDocument(Table, frozen=True, kw_only=True):
    """A rule file."""

    equipment_class: Annotated[Name, Meta(description="As the births of its machines say.")]
    version: Annotated[int, Meta(ge=1, description="Grows with every change.")]
    description: Annotated[str, Meta(description="For people.")] = ""
    mode: Annotated[
        Literal["active", "shadow"], Meta(description="`shadow` puts all rules in shadow.")
    ] = "active"
    channels: Annotated[
        dict[str, ChannelTable], Meta(description="Channels of the class that rules name.")
    ] = {}
    modes: Annotated[dict[str, ModeTable], Meta(description="Operating modes by name.")] = {}
    rules: Annotated[list[AnyRule], Meta(max_length=MOST_RULES)] = []


# The fields that are one of several words; those of the contracts a type cannot list.
WORDS: Final[dict[str, tuple[str, ...]]] = {
    "mode": ("active", "shadow"),
    "per": tuple(PERIODS),
    "relation": ("ratio", "difference", "correlation"),
    "severity": tuple(SEVERITIES),
    "failure_mode": tuple(FAILURE_MODES),
    "score": tuple(SCORES),
    "quantity": ALL_QUANTITIES,
}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a rule file, for an editor."""
    (root,), definitions = msgspec.json.schema_components(
        [RuleDocument], ref_template="#/$defs/{name}"
    )
    for definition in definitions.values():
        for field, words in WORDS.items():
            if field in definition.get("properties", {}):
                definition["properties"][field]["enum"] = list(words)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Rule file of Headrace's stream processor",
        **root,
        "$defs": definitions,
    }


def is_name(text: str) -> bool:
    """Return whether a class, a rule or an operating mode can be called so."""
    return re.match(NAME, text) is not None
