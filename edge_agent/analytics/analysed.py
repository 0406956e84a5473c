"""Analyse a driver's channels where they are measured, and send waveforms when they matter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from edge_agent.analytics.device import DeviceAnalyses
from edge_agent.analytics.look import Workspace
from edge_agent.analytics.options import AnalyticsTable, CaptureTable
from edge_agent.analytics.results import runs
from edge_agent.analytics.waveforms import Waveforms
from edge_agent.drivers.base import Block, Device, Driver, Lost, Quality, Samples, WriteError
from edge_agent.drivers.stage import DriverStage

# What a device with captures on demand takes a reason by, as a set-point.
CAPTURE: Final = "Capture"
# Characters; it goes out with every message of a capture.
MAX_REASON: Final = 200


class AnalysedDriver(DriverStage):
    """Adds the outputs of `[[analytics]]` to a driver's devices, and holds waveforms back.

    It stands behind what scores the blocks: models see the waveforms whether or not they go out,
    and a capture may begin by a score.
    """

    def __init__(
        self,
        inner: Driver,
        analytics: Sequence[AnalyticsTable],
        captures: Sequence[CaptureTable] = (),
    ) -> None:
        """Bind the tables to the devices of `inner`; those that fit none have no effect here.

        Raises:
            OptionsError: a table does not fit a channel; the message begins with its place.
        """
        super().__init__(inner)
        work = Workspace()
        self._analysed: dict[str, _Analysed] = {}
        for device in inner.devices():
            analyses = DeviceAnalyses(device, analytics, work)
            waveforms = Waveforms(device, analyses.raw, analyses.outputs, captures, analyses.span_s)
            self._analysed[device.tag] = _Analysed(analyses, waveforms)

    def devices(self) -> Sequence[Device]:
        """Return the devices with their outputs, without the channels that never go out."""
        return [analysed.analyses.declared for analysed in self._analysed.values()]

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield blocks with the outputs of the windows that they complete.

        Waveforms from before a trigger come as `late` blocks of their own, before the block that
        triggered.
        """
        async for item in self.inner.blocks():
            analysed = self._analysed.get(item.device)
            if isinstance(item, Lost) or analysed is None:
                yield item
                continue
            for block in analysed.take(item):
                yield block

    def trigger(self, device: str, reason: str) -> bool:
        """Capture a device's waveforms around the end of its next block; say whether it can be.

        It cannot when no `[[capture]]` table with `on_demand` is for the device, or none has
        captures left in this hour.
        """
        analysed = self._analysed.get(device)
        return analysed is not None and analysed.waveforms.demand(
            reason[:MAX_REASON] or "on demand"
        )

    @property
    def on_demand(self) -> list[str]:
        """The devices whose `Capture` is ours: not those that have such a point themselves."""
        return [
            tag
            for tag, own in self._analysed.items()
            if own.waveforms.on_demand and CAPTURE not in super(AnalysedDriver, self).writable(tag)
        ]

    def writable(self, device: str) -> Mapping[str, str]:
        """Return the names that a device takes values by; `Capture` takes a reason."""
        own = self._analysed.get(device)
        demanded = {CAPTURE: ""} if own is not None and own.waveforms.on_demand else {}
        return {**super().writable(device), **demanded}

    async def write(self, device: str, name: str, value: float | bool | str) -> None:
        """Capture, or write a value, already checked against the gateway's limits.

        Raises:
            WriteError: the device refused it, is away, or takes none.
        """
        if name != CAPTURE or name in super().writable(device):
            await super().write(device, name, value)
        elif value is not False and not self.trigger(
            device, value if isinstance(value, str) else ""
        ):
            reason = "its captures of this hour are used up"
            if device not in self.on_demand:
                reason = "no capture on demand is configured"
            raise WriteError(f"{device}: {reason}")

    def counts(self) -> dict[str, int]:
        """Return what happened since the start, and the bytes that wait for a trigger."""
        analyses = [a for own in self._analysed.values() for a in own.analyses.analyses]
        captures = [c for own in self._analysed.values() for c in own.waveforms.captures]
        return {
            "windows": sum(analysis.windows for analysis in analyses),
            "windows_unsound": sum(analysis.unsound for analysis in analyses),
            "gaps": sum(analysis.gaps for analysis in analyses),
            "captures": sum(capture.begun for capture in captures),
            "captures_refused": sum(capture.refused for capture in captures),
            "ring_bytes": sum(own.waveforms.nbytes for own in self._analysed.values()),
        }


class _Analysed:
    """One device with its analyses and its waveforms."""

    def __init__(self, analyses: DeviceAnalyses, waveforms: Waveforms) -> None:
        self.analyses, self.waveforms = analyses, waveforms

    def take(self, block: Block) -> Iterator[Block]:
        """Yield what goes out for a block: late waveforms, the block, results of later times."""
        found = list(self.analyses.add(block))
        fired = [
            (capture, cause)
            for analysis, result in found
            for output, value in zip(analysis.outputs, result.values.tolist(), strict=True)
            for capture in self.waveforms.captures
            if (cause := capture.exceeded(output.name, value, result.start_ms, result.end_ms))
        ]
        passed = self.waveforms.take(block, fired)
        yield from passed.late
        samples, offsets = passed.samples, passed.offsets_ms
        quality: dict[str, Quality] = {n: q for n, q in block.quality.items() if n in samples}
        further: dict[int, dict[str, Samples]] = {}
        for run in runs(found):
            # Turns may be found to have ended before the block, by the speed that came with it.
            time_ms = max(round(run.start_ms), block.start_time_ms)
            first = not any(output.name in samples for output in run.analysis.outputs)
            into = samples if first else further.setdefault(time_ms, {})
            into.update(run.samples())
            for output in run.analysis.outputs if first else ():
                if time_ms != block.start_time_ms:
                    offsets[output.name] = time_ms - block.start_time_ms
                if (of := block.quality.get(run.analysis.channel.name)) is not None:
                    quality[output.name] = of
        if samples or block.score is not None:
            yield replace(
                block, samples=samples, quality=quality, offsets_ms=offsets, capture=passed.label
            )
        for time_ms, later in sorted(further.items()):
            # They begin with their block, since the next may begin before the last window's end:
            # clocks jitter.
            after = dict.fromkeys(later, time_ms - block.start_time_ms)
            yield Block(block.device, block.start_time_ms, later, offsets_ms=after)
