"""The reasons in words, and what to do about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a message was set aside, in one sentence, and what helps."""

    explanation: str
    advice: str


UNKNOWN = Reason(
    "The processor set it aside for a reason that this server does not know.",
    "The server is older than the processor: update it, then look again.",
)
REASONS: Mapping[str, Reason] = {
    "UNDECODABLE": Reason(
        "Its bytes are no Sparkplug payload.",
        "See where decoding ends. A payload that was cut can go on with the metrics before the cut;"
        " one that is JSON or text comes from a device with another format: mend it there,"
        " and discard these.",
    ),
    "UNKNOWN_TOPIC": Reason(
        "Its topic has no meaning here.",
        "Mend the publisher's topic: spBv1.0/{site}/{type}/{edge node}/{equipment}, names without"
        " spaces and dots. A message of the wrong device can be replayed as another device's.",
    ),
    "UNKNOWN_METRIC": Reason(
        "It holds a metric that the device's birth does not declare.",
        "When the device has been born again since, replay it. Otherwise name the metric as the"
        " birth does, or leave it out.",
    ),
    "WRONG_TYPE": Reason(
        "A value in it is not of the declared datatype, or something it must have is missing.",
        "Set the metric's value or datatype, then replay it; when the birth is wrong, mend the"
        " device first.",
    ),
    "NO_BIRTH": Reason(
        "The device had not announced itself, so nobody knew what its metrics mean.",
        "Once a birth of the device is there, replay it. Without one, ask the gateway for its"
        " births, or restart it.",
    ),
    "TIME_IN_FUTURE": Reason(
        "Its times lie after the moment it was received: the clock of its gateway is ahead.",
        "Set the gateway's clock, then replay these with their times shifted back by as much.",
    ),
    "TIME_TOO_OLD": Reason(
        "Its times lie too far in the past: the clock of its gateway or device was behind.",
        "Set the clock, then replay these with their times shifted forward by as much. A birth that"
        " a newer one followed can be discarded.",
    ),
    "STAGE_FAILED": Reason(
        "A step of the processor failed on it; the flow went on without it.",
        "This is a fault of Headrace: the processor's log has it under the trace id. After an"
        " update, replay it.",
    ),
    "REJECTED": Reason(
        "The maintenance module refused this advisory.",
        "The detail says why. When that is mended, for example once the equipment is registered,"
        " replay it: the advisory is reported again.",
    ),
    "INVALID_RULES": Reason(
        "A rule file has errors; the rules in force stayed.",
        "Mend the file at the lines the detail names and put it in force again, then discard this.",
    ),
}


def reason_of(name: str) -> Reason:
    """Return what a reason means."""
    return REASONS.get(name, UNKNOWN)
