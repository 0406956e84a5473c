"""Take a recording through the stages of the flow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stream_processor.evaluation.framing import Framed, frames
from stream_processor.evaluation.recording import Recording
from stream_processor.stages import STAGES
from stream_processor.stages.chain import Chain
from stream_processor.stages.items import Findings, Outlook
from stream_processor.v1.alert_pb2 import Advisory, AdvisoryState, FailureMode, Severity

# Number of rows done, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A finding: when it was raised and cleared, rows and milliseconds since the epoch, UTC.

    `channel`, `mode` and `sentence` are what was said when it was raised; `cleared_row` is None
    when it still stood at the end.
    """

    id: str
    rule: str
    raised_row: int
    raised_ms: int
    cleared_row: int | None
    cleared_ms: int | None
    channel: str
    mode: str
    severity: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the stages said of a recording: a score a row, shape (n,), and every alarm.

    A score is -log10 of a probability; `limit` is what alarms are raised at.
    """

    scores: npt.NDArray[np.float64]
    alarms: tuple[Alarm, ...]
    seconds: float
    limit: float = 1.0


def run(
    recording: Recording,
    progress: Progress = lambda _done, _of: None,
    rows_per_frame: int | None = None,
    restart_every: int = 0,
) -> Outcome:
    """Return the score of every row and every alarm.

    A row of which the stages say nothing (missing, a repeated or earlier time) has the score of the
    row before it. `restart_every` frames the stages go on from their stored state.
    """
    began = time.perf_counter()
    front, back = Chain(STAGES[:-1]), Chain(STAGES[-1:])
    scores = np.full(recording.rows, np.nan)
    alarms: dict[str, Alarm] = {}
    limit = 1.0
    for number, framed in enumerate(frames(recording, rows_per_frame), 1):
        outlook: Outlook = front.feed(framed.frame)
        findings: Findings = back.feed(outlook)
        detections = outlook.assessment.detections
        rows = _rows_of(framed, bool(detections.features.catalogue.vibration))
        for row, deviation in zip(rows, detections.deviations, strict=True):
            if deviation.judged:
                scores[row], limit = deviation.evidence, deviation.surprise_limit
        times = [d.observation.time_ms for d in detections.deviations]
        for advisory in findings.advisories:
            at = advisory.window_end_time.ToMilliseconds()
            place = max(int(np.searchsorted(times, at, side="right")) - 1, 0)
            _note(alarms, advisory, int(rows[place]), int(recording.time_ms[rows[place]]))
        if restart_every and number % restart_every == 0:
            front.restart()
            back.restart()
        progress(int(framed.rows[-1]) + 1, recording.rows)
    return Outcome(_held(scores), tuple(alarms.values()), time.perf_counter() - began, limit)


def _rows_of(framed: Framed, whole: bool) -> npt.NDArray[np.int64]:
    """Return the row of each observation: of a whole frame, the last, when all of it was seen."""
    return framed.rows[-1:] if whole else framed.rows


def _held(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the scores, each missing one as the last that was there, 0 before the first."""
    known = np.maximum.accumulate(np.where(np.isnan(scores), -1, np.arange(scores.size)))
    return np.where(known < 0, 0.0, scores[known])


def _note(alarms: dict[str, Alarm], advisory: Advisory, row: int, time_ms: int) -> None:
    key = advisory.advisory_id
    if advisory.state == AdvisoryState.ADVISORY_STATE_CLEARED:
        if key in alarms:
            alarms[key] = replace(alarms[key], cleared_row=row, cleared_ms=time_ms)
    elif key not in alarms:
        alarms[key] = Alarm(
            key,
            advisory.rule,
            row,
            time_ms,
            None,
            None,
            advisory.evidence.channel,
            FailureMode.Name(advisory.failure_mode).removeprefix("FAILURE_MODE_").lower(),
            Severity.Name(advisory.severity).removeprefix("SEVERITY_").lower(),
            advisory.summary,
        )
