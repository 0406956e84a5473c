"""Flux, InfluxDB 2's language: the few scripts that the historian sends, as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from cloud_api.historian.levels import Level, Range, Segment

# Times are nanoseconds in 64 bits.
EARLIEST_MS, LATEST_MS = -9_223_286_400_000, 9_223_286_400_000
EVER = (EARLIEST_MS, LATEST_MS)
POINTS, SERIES, WAVEFORMS = "points", "series", "waveforms"
# How each field of points becomes that of a window. Sums and extremes only: the server computes
# them while it reads, and what it made of minutes it can make of hours.
FIELDS = {
    "total": "sum", "minimum": "min", "maximum": "max", "count": "sum", "points": "sum",
    "measured_ms": "sum",
}  # fmt: skip


def quoted(text: str) -> str:
    """Return a string literal; `${` would start an interpolation."""
    return json.dumps(text, ensure_ascii=False).replace("${", "\\${")


def source(bucket: str, within: Range) -> str:
    """Return the pipe's beginning: a bucket between two times."""
    start, stop = (min(max(ms, EARLIEST_MS), LATEST_MS) * 1_000_000 for ms in within)
    return (
        f"from(bucket: {quoted(bucket)}) |> range(start: time(v: {start}), stop: time(v: {stop}))"
    )


def where(**columns: str) -> str:
    """Return a filter by measurement, tags and field."""
    clauses = " and ".join(f"r[{quoted(name)}] == {quoted(columns[name])}" for name in columns)
    return f"filter(fn: (r) => {clauses})"


def among(column: str, values: Iterable[str]) -> str:
    """Return a filter by any of several values of a tag."""
    clauses = " or ".join(f"r[{quoted(column)}] == {quoted(value)}" for value in sorted(values))
    return f"filter(fn: (r) => {clauses})"


def window(width_ms: int, function: str) -> str:
    """Return the stage that makes each window one row, at the window's start."""
    return (
        f"aggregateWindow(every: {width_ms}ms, fn: {function}, createEmpty: false, "
        'timeSrc: "_start")'
    )


def rolled_up(
    finer: str, bucket: str, level: Level, within: Range, equipment: Iterable[str]
) -> str:
    """Return the script that rolls the windows of a range up, from one bucket into another."""
    tags = list(equipment)
    statements = []
    for field, function in FIELDS.items():
        stages = [source(finer, within), where(_measurement=POINTS, _field=field)]
        if tags:
            stages.append(among("equipment", tags))
        stages += [window(level, function), f"to(bucket: {quoted(bucket)})"]
        statements.append(" |> ".join(stages) + f" |> yield(name: {quoted(field)})")
    return "\n".join(statements)


def trend(buckets: dict[Level, str], chosen: Sequence[Segment], width_ms: int, **tags: str) -> str:
    """Return the script that reads one series: a result a field and segment.

    `width_ms` 0 reads rows as they are, with the mean where there is one. A bucket over several
    segments comes in as many parts.
    """
    statements = []
    for number, segment in enumerate(chosen):
        within = (segment.start_ms, segment.end_ms)
        for field in FIELDS if width_ms else (*FIELDS, "value"):
            stages = [
                source(buckets[segment.level], within),
                where(_measurement=POINTS, **tags, _field=field),
            ]
            if width_ms:
                stages.append(window(width_ms, FIELDS[field]))
            stages.append(f"yield(name: {quoted(f'{field} {number}')})")
            statements.append(" |> ".join(stages))
    return "\n".join(statements)


def sums(buckets: dict[Level, str], chosen: Sequence[Segment], **tags: str) -> str:
    """Return the script that counts the points of one series: a result a segment."""
    return "\n".join(
        " |> ".join(
            (
                source(buckets[segment.level], (segment.start_ms, segment.end_ms)),
                where(_measurement=POINTS, **tags, _field="points"),
                "sum()",
                f"yield(name: {quoted(str(number))})",
            )
        )
        for number, segment in enumerate(chosen)
    )
