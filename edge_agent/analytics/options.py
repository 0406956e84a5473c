"""The `[[analytics]]`, `[[capture]]` and `[[report]]` tables of a gateway file."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Output = Literal[
    "mean",
    "minimum",
    "maximum",
    "rms",
    "peak",
    "peak_to_peak",
    "crest_factor",
    "kurtosis",
    "velocity_rms",
    "zone",
    "envelope",
    "orders",
    "vane_pass",
    "gear_mesh",
]
Raw = Literal["always", "captured", "never"]

Glob = Annotated[str, Meta(min_length=1, description="Name; `*` and `?` stand for others.")]
Hertz = Annotated[float, Meta(ge=0)]
Above = Annotated[float, Meta(gt=0)]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a gateway file whose numbers are finite."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            numbers = value if isinstance(value, tuple) else (value,)
            for number in numbers:
                if isinstance(number, float) and not isfinite(number):
                    raise ValueError(f"{name}: {number} is no number that can be worked with")


class WindowTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of a channel is looked at together."""

    length_s: Annotated[Above | None, Meta(description="A window by time.")] = None
    revolutions: Annotated[
        Annotated[float, Meta(ge=1)] | None, Meta(description="A window by turns of the shaft.")
    ] = None
    overlap: Annotated[
        float, Meta(ge=0, le=0.95, description="Share of a window that the next has too.")
    ] = 0.0
    max_length_s: Annotated[
        Above,
        Meta(
            description="Turns that take longer than this are given up; the shaft all but stands."
        ),
    ] = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.length_s is None) == (self.revolutions is None):
            raise ValueError("length_s: give either this or `revolutions`")


class BandTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A band whose RMS is an output, its edges in Hz or in orders of the shaft's speed."""

    name: Annotated[str, Meta(min_length=1, description="Last part of the output's name.")]
    low_hz: Hertz | None = None
    high_hz: Hertz | None = None
    low_order: Hertz | None = None
    high_order: Hertz | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        hertz = (self.low_hz is not None, self.high_hz is not None)
        orders = (self.low_order is not None, self.high_order is not None)
        if sorted((hertz, orders)) != [(False, False), (True, True)]:
            raise ValueError("low_hz: give both edges in Hz, or both in orders")
        low, high = self.edges
        if low >= high:
            raise ValueError(f"low_hz: the band from {low:g} to {high:g} is empty")

    @property
    def by_order(self) -> bool:
        """Whether the edges are orders."""
        return self.low_order is not None

    @property
    def edges(self) -> tuple[float, float]:
        """The lower and the upper edge, in Hz or orders."""
        low, high = self.low_hz, self.high_hz
        if self.by_order:
            low, high = self.low_order, self.high_order
        return low or 0.0, high or 0.0


class ZoneTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits between the zones A, B, C and D of ISO 20816, and who says so."""

    limits_mm_s: Annotated[
        tuple[Above, Above, Above], Meta(description="A to B, B to C, C to D; velocity RMS.")
    ]
    provenance: Annotated[
        str,
        Meta(min_length=1, description="Where they are from: a standard and table, a maker."),
    ]

    def __post_init__(self) -> None:
        super().__post_init__()
        if sorted(set(self.limits_mm_s)) != list(self.limits_mm_s):
            raise ValueError("limits_mm_s: each must be above the one before")


class AnalyticsTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An `[[analytics]]` table: what is made of channels, and whether they go out themselves."""

    device: Glob = "*"
    channel: Glob
    name: Annotated[
        str, Meta(description="Comes into the outputs' names when a channel has two tables.")
    ] = ""
    window: WindowTable
    outputs: Annotated[list[Output], Meta(description="What is made of each window.")] = []
    bands: Annotated[list[BandTable], Meta(description="Bands whose RMS is made too.")] = []
    velocity_band_hz: Annotated[
        tuple[Above, Above],
        Meta(description="ISO 20816-1: 10 to 1000; of slow machines 2 to 1000."),
    ] = (10.0, 1000.0)
    zone: ZoneTable | None = None
    envelope_band_hz: Annotated[
        tuple[Above, Above] | None,
        Meta(description="Where bearings ring; else 20 to 47 % of the sample rate."),
    ] = None
    harmonics: Annotated[
        int, Meta(ge=1, le=10, description="Of a bearing's defect that are taken together.")
    ] = 3
    slip_percent: Annotated[
        float,
        Meta(
            ge=0,
            le=5,
            description="How far lines of bearings, and of unmeasured speed, may be off.",
        ),
    ] = 1.5
    speed_channel: Annotated[
        str, Meta(description="In 1/min; else the device's first of quantity `speed`.")
    ] = ""
    raw: Annotated[
        Raw, Meta(description="Whether samples go out: always, around a trigger, or never.")
    ] = "always"
    max_missing_percent: Annotated[
        float, Meta(ge=0, le=50, description="Of a window; with more its outputs are missing too.")
    ] = 10.0
    gap_tolerance_ms: Annotated[
        float, Meta(ge=0, description="How far two blocks' times may be off and still join.")
    ] = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.outputs and not self.bands and self.raw == "always":
            raise ValueError("outputs: nothing is made of the channel; name an output or a band")
        for name in ("velocity_band_hz", "envelope_band_hz"):
            band = getattr(self, name)
            if band is not None and band[0] >= band[1]:
                raise ValueError(f"{name}: the band from {band[0]:g} to {band[1]:g} is empty")
        if ("zone" in self.outputs) != (self.zone is not None):
            raise ValueError("zone: the output `zone` and the table with its limits go together")
        names = [band.name for band in self.bands]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"bands: two have the name {name!r}")


class TriggerTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A condition on an output of the analytics that starts a capture."""

    output: Glob
    at_least: Annotated[float | None, Meta(description="In the output's unit.")] = None
    rise_per_s: Annotated[
        Above | None, Meta(description="From one window to the next, in its unit a second.")
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at_least is None and self.rise_per_s is None:
            raise ValueError("at_least: give a limit, or `rise_per_s`")


class CaptureTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[capture]]` table: when waveforms with `raw = "captured"` go out, and how much."""

    device: Glob = "*"
    channel: Glob = "*"
    pre_s: Annotated[
        float, Meta(ge=0, le=600, description="Kept in memory from before the trigger's window.")
    ]
    post_s: Annotated[float, Meta(ge=0, le=3600, description="After the trigger.")]
    triggers: Annotated[list[TriggerTable], Meta(description="Conditions on outputs.")] = []
    score: Annotated[
        Above | None, Meta(description="The model's score at or above which; 1.0 is its limit.")
    ] = None
    on_demand: Annotated[bool, Meta(description="Whether people may ask for one.")] = True
    min_interval_s: Annotated[
        float, Meta(ge=0, description="Between two triggers; a demand does not wait.")
    ] = 600.0
    max_per_hour: Annotated[int, Meta(ge=1, description="Captures in an hour, demands too.")] = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.triggers and self.score is None and not self.on_demand:
            raise ValueError("triggers: nothing starts a capture; give one, `score` or `on_demand`")


class ReportTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[report]]` table: channels that go out when they change. The first that fits counts."""

    device: Glob = "*"
    channel: Glob
    deadband: Annotated[
        Hertz | None, Meta(description="Change that is told, in the channel's unit; 0 for any.")
    ] = None
    deadband_percent: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | None, Meta(description="The same, of `range`.")
    ] = None
    range: Annotated[
        tuple[float, float] | None, Meta(description="Of the channel, in its unit.")
    ] = None
    min_interval_s: Annotated[
        float, Meta(ge=0, description="A channel is told of at most once in so many seconds.")
    ] = 0.0
    max_interval_s: Annotated[
        Above, Meta(description="It is told of once in so many seconds, changed or not.")
    ] = 600.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.deadband is None) == (self.deadband_percent is None):
            raise ValueError("deadband: give either this or `deadband_percent`")
        if (self.deadband_percent is None) != (self.range is None):
            raise ValueError("range: goes together with `deadband_percent`")
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range: {self.range[0]:g} to {self.range[1]:g} is empty")
        if self.min_interval_s > self.max_interval_s:
            raise ValueError("min_interval_s: is above max_interval_s")

    @property
    def limit(self) -> float:
        """The deadband in the channel's unit."""
        if self.deadband is not None:
            return self.deadband
        low, high = self.range or (0.0, 0.0)
        return (self.deadband_percent or 0.0) / 100.0 * (high - low)
