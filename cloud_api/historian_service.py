"""What was measured, for a caller: series, points and waveforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from cloud_api.historian import Historian, HistorianError
from cloud_api.v1 import historian_pb2 as pb
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument, NotFound, Unavailable
from erp_modules.kernel.fields import require
from erp_modules.kernel.service import Service

T = TypeVar("T")

DEFAULT_POINTS = 500
MAX_POINTS = 10_000
# Wide enough for every time a contract can say (years 1 to 9999).
EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_800_000


class HistorianService(Service):
    """Reads the historian within the caller's sites."""

    contract = pb.DESCRIPTOR.services_by_name["HistorianService"]

    def __init__(self, historian: Historian) -> None:
        self._historian = historian

    def list_series(self, ctx: Context, request: pb.ListSeriesRequest) -> pb.ListSeriesResponse:
        """List the series of a piece of equipment."""
        require(request, "equipment")
        site = self._site(ctx, request.site, request.equipment)
        if site is None:
            return pb.ListSeriesResponse()
        found = _answer(lambda: self._historian.list_series(site, request.equipment))
        return pb.ListSeriesResponse(
            series=[
                pb.SeriesInfo(
                    series=item.series,
                    unit=item.unit,
                    aggregated=item.aggregated,
                    first_time=_timestamp(item.first_ms),
                    last_time=_timestamp(item.last_ms),
                )
                for item in found
            ]
        )

    def query_points(self, ctx: Context, request: pb.QueryPointsRequest) -> pb.QueryPointsResponse:
        """Query one series; without times from its first point, or to its last."""
        require(request, "equipment", "series")
        if request.max_points < 0:
            raise InvalidArgument.field("max_points", f"{request.max_points} is negative")
        start = (
            request.start_time.ToMilliseconds() if request.HasField("start_time") else EARLIEST_MS
        )
        end = request.end_time.ToMilliseconds() if request.HasField("end_time") else LATEST_MS
        if end <= start:
            raise InvalidArgument.field("end_time", "is not after start_time")
        site = self._site(ctx, request.site, request.equipment)
        if site is None:
            return pb.QueryPointsResponse()
        trend = _answer(
            lambda: self._historian.query(
                site,
                request.equipment,
                request.series,
                start,
                end,
                min(request.max_points or DEFAULT_POINTS, MAX_POINTS),
            )
        )
        return pb.QueryPointsResponse(
            unit=trend.unit,
            time_ms=trend.time_ms.tolist(),
            value=trend.value.tolist(),
            minimum=trend.minimum.tolist(),
            maximum=trend.maximum.tolist(),
            coverage=trend.coverage.tolist() if np.isfinite(trend.coverage).all() else [],
            bucket_ms=trend.bucket_ms,
        )

    def get_waveform(self, ctx: Context, request: pb.GetWaveformRequest) -> pb.StoredWaveform:
        """Get the raw samples kept around an event."""
        collection, _, identity = request.name.partition("/")
        if collection != "waveforms" or not identity or "/" in identity:
            raise InvalidArgument.field("name", f"{request.name!r} is not waveforms/{{id}}")
        record = _answer(lambda: self._historian.waveform(identity))
        if record is None or (ctx.sites is not None and record.site not in ctx.sites):
            raise NotFound(f"{request.name} does not exist")
        return pb.StoredWaveform(
            name=request.name,
            equipment=record.equipment,
            channel=record.channel,
            unit=record.unit,
            start_time=_timestamp(record.start_time_ms),
            sample_rate_hz=record.sample_rate_hz,
            samples=record.samples.tolist(),
        )

    def _site(self, ctx: Context, site: str, equipment: str) -> str | None:
        """Return the site to read; None when the equipment has nothing the caller may see.

        Raises:
            PermissionDenied: `site` is none of the caller's.
            InvalidArgument: no `site`, and the tag is in use at several.
        """
        if site:
            ctx.require_site(site)
            return site
        sites = [
            found
            for found in _answer(lambda: self._historian.sites(equipment))
            if ctx.sites is None or found in ctx.sites
        ]
        if len(sites) > 1:
            raise InvalidArgument.field(
                "site", f"{equipment} is a tag at {' and '.join(sites)}: say which"
            )
        return sites[0] if sites else None


def _answer(question: Callable[[], T]) -> T:
    try:
        return question()
    except HistorianError as error:
        raise Unavailable("the historian does not answer: try again") from error


def _timestamp(milliseconds: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(milliseconds)
    return time
