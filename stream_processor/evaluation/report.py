"""One self-contained HTML file: the table, and a plot of every miss and every false alarm.

Of a recording with more than `MOST_PLOTS` of a kind the first ones are plotted and the others
listed by their times, so that the file stays readable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

import numpy as np
import numpy.typing as npt

from stream_processor.evaluation.recording import Recording
from stream_processor.evaluation.run import Outcome
from stream_processor.evaluation.summary import Summary

MOST_PLOTS = 12
# Points of a plot; of more rows, the least and the most of each stretch are drawn.
_POINTS = 300
_WIDTH, _HEIGHT, _GAP = 640, 70, 14
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#c9ced6;--series:#33658a;
--score:#6b5b95;--bad:#b3261e;--window:#e8d9a8}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#14171a;--line:#3a4048;
--series:#8ab6d6;--score:#b7a8e0;--bad:#ff8a80;--window:#4d431f}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;
margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid var(--line);padding:.25rem .6rem;text-align:right}
th:first-child,td:first-child{text-align:left}svg{width:100%;height:auto}svg text{fill:var(--ink);
font-size:11px}summary{cursor:pointer}figure{margin:1rem 0}
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """A recording, what was said of it and what that is worth; no summary without labels."""

    recording: Recording
    outcome: Outcome
    summary: Summary | None


def page(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str]], judged: Iterable[Judged]
) -> str:
    """Return the report as HTML: a table of `rows` under `header`, then every recording."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    parts = "".join(_section(one) for one in judged)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{parts}"
        "</main></body></html>\n"
    )


def _section(one: Judged) -> str:
    recording, outcome = one.recording, one.outcome
    notices = "".join(f"<li>{escape(n)}</li>" for n in recording.notices)
    said = "".join(
        f"<li>{_time(a.raised_ms)}: {escape(a.sentence)}</li>" for a in outcome.alarms[:200]
    )
    more = len(outcome.alarms) - 200
    parts = [f"<ul>{notices}</ul>" if notices else ""]
    if one.summary is None:
        raised = [a.raised_row for a in outcome.alarms]
        parts.append(_plots("alarms", one, [(row, row) for row in raised], 1.0))
    else:
        found = one.summary.at_threshold
        missed = [(w.first, w.last) for w in found.missed]
        parts.append(_plots("missed", one, missed, one.summary.threshold))
        false = [(row, row) for row in found.false]
        parts.append(_plots("false alarms", one, false, one.summary.threshold))
    if said:
        tail = f"<li>and {more} more</li>" if more > 0 else ""
        parts.append(
            f"<details><summary>{len(outcome.alarms)} alarms</summary>"
            f"<ul>{said}{tail}</ul></details>"
        )
    name = escape(recording.name)
    return f"<section><h2>{name}</h2>{''.join(parts)}</section>"


def _plots(what: str, one: Judged, spans: Sequence[tuple[int, int]], threshold: float) -> str:
    if not spans:
        return f"<p>No {what}.</p>"
    shown = "".join(
        _figure(f"{what}, {_time(int(one.recording.time_ms[low]))}", one, low, high, threshold)
        for low, high in spans[:MOST_PLOTS]
    )
    rest = [_time(int(one.recording.time_ms[low])) for low, _ in spans[MOST_PLOTS:][:500]]
    others = f"<p>{len(spans) - MOST_PLOTS} more: {', '.join(rest)}</p>" if rest else ""
    return f"<details><summary>{len(spans)} {what}</summary>{shown}{others}</details>"


def _figure(label: str, one: Judged, low: int, high: int, threshold: float) -> str:
    recording = one.recording
    reach = max(2 * (high - low + 1), 100)
    first, last = max(low - reach, 0), min(high + reach, recording.rows - 1)
    rows = slice(first, last + 1)
    # The channel that moved most against its own usual spread.
    part = recording.values[rows]
    channel = _liveliest(part)
    span = last - first + 1
    windows = "".join(
        _band(max(w.first, first) - first, min(w.last, last) - first, span)
        for w in recording.windows
        if w.first <= last and w.last >= first
    )
    scores = one.outcome.scores[rows]
    top = max(float(scores.max()), threshold) * 1.05 or 1.0
    name = f"{recording.channels[channel].name} [{recording.channels[channel].unit}]"
    level = _HEIGHT * (1.0 - threshold / top) + _HEIGHT + _GAP if top else 0.0
    values = part[:, channel]
    known = values[np.isfinite(values)]
    limits = f"{known.min():.4g} to {known.max():.4g}" if known.size else "nothing measured"
    return (
        f"<figure><figcaption>{escape(label)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {2 * _HEIGHT + _GAP}" role="img" '
        f'aria-label="{escape(recording.name)}, {escape(label)}: {escape(name)}, {limits}; '
        f'score, at most {scores.max():.3g}, threshold {threshold:.3g}">{windows}'
        f'<path d="{_path(values, 0.0, None)}" fill="none" stroke="var(--series)"/>'
        f'<path d="{_path(scores, float(_HEIGHT + _GAP), (0.0, top))}" fill="none" '
        f'stroke="var(--score)"/>'
        f'<line x1="0" x2="{_WIDTH}" y1="{level:.1f}" y2="{level:.1f}" stroke="var(--bad)" '
        f'stroke-dasharray="4 3"/><text x="2" y="10">{escape(name)}: {limits}</text>'
        f'<text x="2" y="{_HEIGHT + _GAP + 8}">score; threshold {threshold:.3g} dashed</text>'
        "</svg></figure>"
    )


def _liveliest(part: npt.NDArray[np.float64]) -> int:
    best, place = -1.0, 0
    for j in range(part.shape[1]):
        known = part[:, j][np.isfinite(part[:, j])]
        if known.size > 2:
            low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
            spread = max(float(high - low), 1e-9 * max(1.0, abs(float(middle))))
            moved = float(np.abs(known - middle).max()) / spread
            if moved > best:
                best, place = moved, j
    return place


def _band(low: int, high: int, span: int) -> str:
    x, width = low / span * _WIDTH, max((high - low + 1) / span * _WIDTH, 1.0)
    return (
        f'<rect x="{x:.1f}" y="0" width="{width:.1f}" height="{2 * _HEIGHT + _GAP}" '
        'fill="var(--window)"/>'
    )


def _path(values: npt.NDArray[np.float64], top: float, limits: tuple[float, float] | None) -> str:
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return ""
    if known.size > _POINTS:
        parts = np.array_split(known, _POINTS // 2)
        ends = ((p[values[p].argmin()], p[values[p].argmax()]) for p in parts)
        known = np.unique(np.array([row for pair in ends for row in pair]))
    low, high = limits or (float(values[known].min()), float(values[known].max()))
    x = known / max(len(values), 1) * _WIDTH
    y = top + _HEIGHT * (1.0 - (values[known] - low) / ((high - low) or 1.0))
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _time(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
