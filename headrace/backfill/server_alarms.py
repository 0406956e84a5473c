"""What the live flow alarmed, as the server has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from headrace.backfill.alarms import Alarm, in_order
from headrace.client import ApiClient, Resource
from headrace.rule_testing import Said
from stream_processor.stages.items import Reading
from stream_processor.stages.rule_advisory import PREFIX

CLEARED = "clearTime"


def server_alarms(api: ApiClient, spans: Mapping[str, tuple[int, int]]) -> list[Alarm]:
    """Return the alarms of users' rules that stood on machines within a span of event time.

    `spans` maps `{site}/{equipment}` to first and last event time, milliseconds since the epoch.

    Raises:
        ApiError: the server refuses.
    """
    found = []
    for resource in api.list("alarms"):
        alarm = alarm_of(resource)
        span = spans.get(f"{alarm.said.site}/{alarm.said.equipment}") if alarm else None
        if alarm and span and alarm.raised_ms <= span[1] and alarm.end_ms >= span[0]:
            before = alarm.raised_ms < span[0]
            found.append(Alarm(alarm.said, alarm.cleared_ms, before))
    return in_order(found)


def alarm_of(resource: Resource) -> Alarm | None:
    """Return an alarm of the server; None of one that a model raised, not a rule."""
    advisory = resource.get("advisory", {})
    rule = advisory.get("rule", "")
    if not rule.startswith(PREFIX):
        return None
    evidence = advisory.get("evidence", {}).get("features", [])
    reading = None
    if evidence:
        first = evidence[0]
        reading = Reading(
            first.get("channel", ""),
            first.get("feature", ""),
            first.get("unit", ""),
            float(first.get("value", 0.0)),
            float(first.get("limit", 0.0)),
        )
    said = Said(
        _milliseconds(resource["raiseTime"]),
        resource["equipment"],
        rule.removeprefix(PREFIX),
        "raise",
        False,
        resource.get("severity", "").removeprefix("SEVERITY_").lower(),
        resource.get("summary", ""),
        resource["site"],
        advisory.get("modelVersion", ""),
        reading,
    )
    return Alarm(said, _milliseconds(resource[CLEARED]) if CLEARED in resource else None)


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
