"""What is made of samples on the gateway: analyses, captured waveforms, report by exception."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from edge_agent.analytics.analysed import CAPTURE, AnalysedDriver
from edge_agent.analytics.options import AnalyticsTable, CaptureTable, ReportTable
from edge_agent.analytics.reported import ReportedDriver
from edge_agent.drivers import OptionsError, split_path
from edge_agent.drivers.base import Device, Driver
from edge_agent.writes import WriteTable

__all__ = [
    "AnalysedDriver",
    "AnalyticsTable",
    "CaptureTable",
    "ReportTable",
    "ReportedDriver",
    "check",
    "problems",
    "set_points",
    "stages",
]


def stages(
    driver: Driver,
    analytics: Sequence[AnalyticsTable],
    captures: Sequence[CaptureTable],
    reports: Sequence[ReportTable],
) -> tuple[Driver, AnalysedDriver | None, ReportedDriver | None]:
    """Return a driver behind the stages that tables ask for, and those stages.

    Raises:
        OptionsError: a table does not fit a channel; the message begins with its place.
    """
    analysed = AnalysedDriver(driver, analytics, captures) if analytics else None
    driver = analysed or driver
    reported = ReportedDriver(driver, reports) if reports else None
    return reported or driver, analysed, reported


def set_points(analysed: AnalysedDriver, given: Sequence[WriteTable]) -> list[WriteTable]:
    """Return what lets commands write to `Capture` of devices, where no table of `given` does."""
    listed = {table.device for table in given if table.name == CAPTURE}
    return [
        WriteTable(device=tag, name=CAPTURE, kind="text")
        for tag in analysed.on_demand
        if tag not in listed
    ]


def check(
    measured: Sequence[Device],
    declared: Sequence[Device],
    analytics: Sequence[AnalyticsTable],
    captures: Sequence[CaptureTable],
    reports: Sequence[ReportTable],
) -> None:
    """Check that every table is for something.

    `measured` are all devices of a gateway as their drivers have them, `declared` as they come out
    of the stages.

    Raises:
        OptionsError: a table is for no channel, or a trigger for no output.
    """
    for problem in _for_nothing(measured, declared, analytics, captures, reports):
        raise problem


def problems(
    drivers: Sequence[Driver],
    analytics: Sequence[AnalyticsTable],
    captures: Sequence[CaptureTable],
    reports: Sequence[ReportTable],
) -> Iterator[OptionsError]:
    """Yield everything that is wrong with the tables of a gateway that has these drivers."""
    sound = True
    for place, table in enumerate(analytics):
        for driver in drivers:
            try:
                AnalysedDriver(driver, [table])
            except OptionsError as error:
                sound = False
                message, path = split_path(str(error))
                yield OptionsError(message, path.replace("[0]", f"[{place}]", 1))
    if not sound:
        return
    try:
        staged = [stages(driver, analytics, captures, reports)[0] for driver in drivers]
    except OptionsError as error:
        # Tables that do not go together.
        yield error
        return
    measured, declared = ([d for one in of for d in one.devices()] for of in (drivers, staged))
    yield from _for_nothing(measured, declared, analytics, captures, reports)


def _for_nothing(
    measured: Sequence[Device],
    declared: Sequence[Device],
    analytics: Sequence[AnalyticsTable],
    captures: Sequence[CaptureTable],
    reports: Sequence[ReportTable],
) -> Iterator[OptionsError]:
    for place, analysis in enumerate(analytics):
        if not any(_channels(measured, analysis.device, analysis.channel)):
            yield OptionsError(
                f"no device {analysis.device!r} has a channel {analysis.channel!r}",
                f"analytics[{place}].channel",
            )
    for place, capture in enumerate(captures):
        yield from _of_capture(f"capture[{place}]", capture, measured, declared, analytics)
    for place, report in enumerate(reports):
        if not any(_channels(declared, report.device, report.channel)):
            yield OptionsError(
                f"no device {report.device!r} has a channel {report.channel!r}",
                f"report[{place}].channel",
            )


def _of_capture(
    place: str,
    capture: CaptureTable,
    measured: Sequence[Device],
    declared: Sequence[Device],
    analytics: Sequence[AnalyticsTable],
) -> Iterator[OptionsError]:
    analysed = {
        found
        for table in analytics
        if table.raw != "never"
        for found in _channels(measured, table.device, table.channel)
    }
    if analysed.isdisjoint(_channels(measured, capture.device, capture.channel)):
        yield OptionsError(
            'it is for no channel that an [[analytics]] table keeps; give one `raw = "captured"`',
            f"{place}.channel",
        )
    before = set(_channels(measured, "*", "*"))
    for number, trigger in enumerate(capture.triggers):
        outputs = set(_channels(declared, capture.device, trigger.output)) - before
        if not outputs:
            yield OptionsError(
                f"no output is {trigger.output!r}; they are named by channel and output, as in "
                "`Vibration Velocity RMS`",
                f"{place}.triggers[{number}].output",
            )


def _channels(devices: Sequence[Device], tag: str, channel: str) -> Iterator[tuple[str, str]]:
    """Yield the tag and the channel of each that fits both patterns."""
    for device in devices:
        if fnmatchcase(device.tag, tag):
            for own in device.channels:
                if fnmatchcase(own.name, channel):
                    yield device.tag, own.name
