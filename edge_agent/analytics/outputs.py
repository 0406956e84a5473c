"""What an `[[analytics]]` table makes of a channel: names, units and how each is worked out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from edge_agent.analytics.levels import ACCELERATION, VELOCITY, zone
from edge_agent.analytics.look import Look
from edge_agent.analytics.options import AnalyticsTable
from edge_agent.drivers.base import Channel, Device

Recipe = Callable[[Look], float]

# Outputs in the channel's own unit.
_LEVELS: Final[dict[str, tuple[str, Recipe]]] = {
    "mean": ("Mean", lambda look: look.moments.mean),
    "minimum": ("Minimum", lambda look: look.moments.minimum),
    "maximum": ("Maximum", lambda look: look.moments.maximum),
    "rms": ("RMS", lambda look: look.moments.rms),
    "peak": ("Peak", lambda look: look.moments.peak),
    "peak_to_peak": ("Peak to Peak", lambda look: look.moments.peak_to_peak),
}
_RATIOS: Final[dict[str, tuple[str, Recipe]]] = {
    "crest_factor": ("Crest Factor", lambda look: look.moments.crest_factor),
    "kurtosis": ("Kurtosis", lambda look: look.moments.kurtosis),
}
_DEFECTS: Final = ("BPFO", "BPFI", "BSF", "FTF")
_HARMONICS: Final = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Made:
    """An output: the last part of its name, its unit and quantity, and how it is worked out.

    `by_order` says whether that needs the shaft's speed, `spectral` a spectrum.
    """

    label: str
    unit: str
    quantity: str
    recipe: Recipe
    spectral: bool = True
    by_order: bool = False


def number(device: Device, fact: str) -> float:
    """Return a numeric fact of a device, 0 when it has none."""
    value = device.facts.get(fact, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def made_of(device: Device, channel: Channel, table: AnalyticsTable) -> Iterator[Made]:
    """Yield the outputs of a table in its order, then its bands.

    `orders` and `envelope` are those that the device's facts have numbers for; `vane_pass` and
    `gear_mesh` insist on theirs.

    Raises:
        ValueError: an output does not fit the channel; the message begins with the field.
    """
    for place, output in enumerate(table.outputs):
        if output in table.outputs[:place]:
            raise ValueError(f"outputs: {output} is there twice")
        if output in _LEVELS:
            label, recipe = _LEVELS[output]
            yield Made(label, channel.unit, channel.quantity, recipe, spectral=False)
        elif output in _RATIOS:
            label, recipe = _RATIOS[output]
            yield Made(label, "1", "other", recipe, spectral=False)
        elif output == "velocity_rms":
            _check_velocity(channel, table)
            yield Made("Velocity RMS", "mm/s", "velocity", Look.velocity_rms)
        elif output == "zone":
            _check_velocity(channel, table)
            yield Made("Zone", "1", "other", partial(_zone, _limits(table)))
        elif output == "envelope":
            yield from _envelope(device, channel, table)
        else:
            yield from _orders(device, channel, table, output)
    for place, band in enumerate(table.bands):
        low, _ = band.edges
        if not band.by_order and low >= channel.sample_rate_hz / 2:
            raise ValueError(
                f"bands[{place}].low_hz: {band.name!r} lies above half of the sample rate of "
                f"{channel.name!r}, {channel.sample_rate_hz / 2:g} Hz"
            )
        recipe = partial(Look.band_rms, band=band)
        yield Made(
            f"{band.name} RMS", channel.unit, channel.quantity, recipe, by_order=band.by_order
        )


def highest_orders(device: Device, table: AnalyticsTable) -> tuple[float, float]:
    """Return the highest orders that a table needs of a channel and of its envelope."""
    teeth = number(device, "Gear Teeth")
    plain = max(_HARMONICS[-1], number(device, "Vane Count"), teeth + 1 if teeth else 0.0)
    defects = max(number(device, f"{name} Order") for name in _DEFECTS)
    return plain, max(1.0, defects * table.harmonics * (1 + table.slip_percent / 100))


def _orders(device: Device, channel: Channel, table: AnalyticsTable, output: str) -> Iterator[Made]:
    def made(label: str, recipe: Recipe) -> Made:
        return Made(label, channel.unit, channel.quantity, recipe, by_order=True)

    if output == "orders":
        for order in _HARMONICS:
            yield made(f"{order}x", partial(Look.order_amplitude, order=float(order)))
    for name, (label, fact, recipe) in _COUNTED.items():
        count = number(device, fact)
        if output == name and not count:
            raise ValueError(
                f"outputs: {name} needs the fact `{fact}`, which {device.tag} does not have; "
                "`orders` does without"
            )
        # Named by itself as well, it is there once.
        if count and (output == name or (output == "orders" and name not in table.outputs)):
            yield made(label, partial(recipe, count))


def _envelope(device: Device, channel: Channel, table: AnalyticsTable) -> Iterator[Made]:
    band, half = table.envelope_band_hz, channel.sample_rate_hz / 2
    if band is not None and band[1] > half:
        raise ValueError(
            f"envelope_band_hz: {band[1]:g} Hz is above half of the sample rate of "
            f"{channel.name!r}, {half:g} Hz"
        )
    yield Made("Envelope RMS", channel.unit, channel.quantity, Look.envelope_rms)
    for name in _DEFECTS:
        if order := number(device, f"{name} Order"):
            recipe = partial(Look.defect_amplitude, order=order)
            label = f"Envelope {name}"
            yield Made(label, channel.unit, channel.quantity, recipe, by_order=True)


def _vane_pass(vanes: float, look: Look) -> float:
    return look.order_amplitude(vanes)


def _mesh(teeth: float, look: Look) -> float:
    """Return the amplitude of mesh and its first sidebands together, which grow with wear."""
    sides = (look.order_amplitude(teeth + side) for side in (-1.0, 0.0, 1.0))
    return float(sum(amplitude**2 for amplitude in sides) ** 0.5)


# Of what a shaft has so many: the output, the last part of its name, the fact that has the number.
_COUNTED: Final[dict[str, tuple[str, str, Callable[[float, Look], float]]]] = {
    "vane_pass": ("Vane Pass", "Vane Count", _vane_pass),
    "gear_mesh": ("Gear Mesh", "Gear Teeth", _mesh),
}


def _limits(table: AnalyticsTable) -> tuple[float, float, float]:
    if table.zone is None:
        raise ValueError("zone: the output needs the table with its limits")
    return table.zone.limits_mm_s


def _zone(limits_mm_s: tuple[float, float, float], look: Look) -> float:
    return zone(look.velocity_rms(), limits_mm_s)


def _check_velocity(channel: Channel, table: AnalyticsTable) -> None:
    if channel.unit not in {**ACCELERATION, **VELOCITY}:
        raise ValueError(
            f"outputs: {channel.name!r} is in {channel.unit!r}, which is no acceleration or "
            f"velocity; there are {', '.join((*ACCELERATION, *VELOCITY))}"
        )
    high = table.velocity_band_hz[1]
    if high > channel.sample_rate_hz / 2:
        raise ValueError(
            f"velocity_band_hz: {high:g} Hz is above half of the sample rate of {channel.name!r}, "
            f"{channel.sample_rate_hz / 2:g} Hz"
        )
