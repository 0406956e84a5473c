"""What a rule watches: a feature of a channel, or of every channel of a quantity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stream_processor.rules.definitions import ChannelTable
from stream_processor.rules.problems import instead
from stream_processor.rules.units import QUANTITIES, SCALES, alike, conversion, dimension
from stream_processor.rules.vocabulary import (
    ALL_QUANTITIES,
    CHANNEL,
    DEVIATING,
    SLOW_FEATURES,
    WAVEFORM_FEATURES,
    WAVEFORM_QUANTITIES,
)

QUANTITY = "quantity:"
MEAN = "mean"
# The samples themselves, for what computes a feature of its own.
SAMPLES = "samples"


class UnknownReferenceError(ValueError):
    """What a rule watches does not exist, or not in this unit."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A feature, in the unit in which the rule wants it.

    Either `channel` or `quantity` is empty.
    """

    feature: str
    unit: str
    channel: str = ""
    quantity: str = ""

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for as many channels as a machine has of the quantity."""
        return bool(self.quantity)

    def __str__(self) -> str:
        where = self.channel or f"{QUANTITY}{self.quantity}"
        return where if self.feature in (MEAN, SAMPLES) else f"{where}/{self.feature}"


def refer(text: str, channels: Mapping[str, ChannelTable], unit: str = "") -> Reference:
    """Return what `text` names, in `unit` or in its own.

    Raises:
        UnknownReferenceError: there is no such channel, quantity or feature, or not in this unit.
    """
    if text.startswith(QUANTITY):
        quantity, feature = _of_quantity(text.removeprefix(QUANTITY))
        known = {**SLOW_FEATURES, **WAVEFORM_FEATURES}[feature]
        own = QUANTITIES.get(quantity, "") if known == CHANNEL else known
        return Reference(feature, _unit(text, own, unit), quantity=quantity)
    channel, feature = _of_channel(text, channels)
    table = channels[channel]
    features = WAVEFORM_FEATURES if table.waveform else SLOW_FEATURES
    if feature not in features:
        kind = "a waveform" if table.waveform else "no waveform"
        raise UnknownReferenceError(f"{channel!r} is {kind}, it has no {feature!r}: "
                              + instead(feature, features))  # fmt: skip
    own = table.unit if features[feature] == CHANNEL else features[feature]
    return Reference(feature, _unit(text, own, unit), channel=channel)


def refer_waveform(text: str, channels: Mapping[str, ChannelTable], unit: str = "") -> Reference:
    """Return the waveforms that `text` names, which has no feature.

    Raises:
        UnknownReferenceError: there are none of that name, or the unit does not fit.
    """
    if text.startswith(QUANTITY):
        quantity = text.removeprefix(QUANTITY)
        if quantity not in WAVEFORM_QUANTITIES:
            raise UnknownReferenceError(
                f"{quantity!r} is no quantity of vibration: "
                + instead(quantity, WAVEFORM_QUANTITIES)
            )
        return Reference(SAMPLES, _unit(text, QUANTITIES[quantity], unit), quantity=quantity)
    waveforms = {name: table for name, table in channels.items() if table.waveform}
    if text not in waveforms:
        raise UnknownReferenceError(
            f"no waveform {text!r} is declared: {instead(text, waveforms)}"
            f' (a waveform is declared by [channels."{text}"] with `waveform = true`)'
        )
    return Reference(SAMPLES, _unit(text, waveforms[text].unit, unit), channel=text)


def refer_deviation(text: str, channels: Mapping[str, ChannelTable]) -> Reference:
    """Return the feature whose deviation from the expected is meant.

    Raises:
        UnknownReferenceError: there is none, or its deviation is not followed.
    """
    found = refer(text, channels, "" if not text.startswith(QUANTITY) else _own_unit(text))
    if found.feature not in DEVIATING:
        raise UnknownReferenceError(f"the deviation of {found.feature!r} is not followed: "
                              + instead(found.feature, sorted(DEVIATING)))  # fmt: skip
    return Reference(found.feature, "1", found.channel, found.quantity)


def _own_unit(text: str) -> str:
    """Return a unit in which a quantity without one can be named."""
    quantity = text.removeprefix(QUANTITY).partition("/")[0]
    return "" if quantity in QUANTITIES else "1"


def _of_quantity(text: str) -> tuple[str, str]:
    quantity, _, feature = text.partition("/")
    feature = feature or MEAN
    if quantity not in ALL_QUANTITIES:
        raise UnknownReferenceError(
            f"there is no quantity {quantity!r}: {instead(quantity, ALL_QUANTITIES)}"
        )
    known = [*WAVEFORM_FEATURES, *SLOW_FEATURES]
    if feature not in known:
        raise UnknownReferenceError(f"there is no feature {feature!r}: {instead(feature, known)}")
    if feature == "velocity_rms" and quantity not in WAVEFORM_QUANTITIES:
        raise UnknownReferenceError(f"only {' and '.join(WAVEFORM_QUANTITIES)} have 'velocity_rms'")
    return quantity, feature


def _of_channel(text: str, channels: Mapping[str, ChannelTable]) -> tuple[str, str]:
    """Return channel and feature; the channel's name may hold `/` itself."""
    if text in channels:
        if channels[text].waveform:
            raise UnknownReferenceError(
                f"{text!r} is a waveform: name a feature, such as '{text}/rms'"
            )
        return text, MEAN
    channel, _, feature = text.rpartition("/")
    if channel in channels:
        return channel, feature
    given = channel or text
    raise UnknownReferenceError(
        f"the class has no channel {given!r}: {instead(given, channels)}"
        f' (a channel is declared by [channels."{given}"] with its unit)'
    )


def _unit(text: str, own: str, wanted: str) -> str:
    if not own:
        if not wanted:
            raise UnknownReferenceError(f"{text!r} has no unit of its own: give `unit`")
        return wanted
    if not wanted or conversion(own, wanted) is not None:
        return wanted or own
    what = f"a unit of {dimension(wanted)}" if wanted in SCALES else "no unit that is known"
    raise UnknownReferenceError(
        f"{wanted!r} is {what}, and {text!r} is measured in {own}: give {' or '.join(alike(own))}"
    )
