"""The analyses of one device, and the device as it declares itself with their outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final

from edge_agent.analytics.analysis import Analysis, Result
from edge_agent.analytics.look import Workspace
from edge_agent.analytics.options import AnalyticsTable, Raw
from edge_agent.analytics.outputs import number
from edge_agent.analytics.speed import Speed
from edge_agent.drivers import OptionsError, split_path
from edge_agent.drivers.base import Block, Channel, Device, Fact

# Windows by turns are taken to need so many times the seconds that they take at nominal speed.
_SLOWER: Final = 4.0


class DeviceAnalyses:
    """What `[[analytics]]` tables make of one device."""

    def __init__(self, device: Device, tables: Sequence[AnalyticsTable], work: Workspace) -> None:
        """Bind the tables that fit the device.

        Raises:
            OptionsError: a table does not fit a channel; the message begins with its place.
        """
        self._device, self._work = device, work
        self._channels = {channel.name: channel for channel in device.channels}
        self._speeds: dict[str, Speed] = {}
        own = [table for table in tables if fnmatchcase(device.tag, table.device)]
        # The seconds of the longest window.
        self.span_s = max((_span_s(device, table) for table in own), default=0.0)
        self.analyses: list[Analysis] = []
        self.raw: dict[str, Raw] = {}
        self.outputs: dict[str, Channel] = {}
        facts: dict[str, Fact] = dict(device.facts)
        for place, table in enumerate(tables):
            fits = table.channel if table in own else ""
            for channel in device.channels:
                if fnmatchcase(channel.name, fits):
                    try:
                        self._bind(channel, table)
                    except ValueError as error:
                        message, field = split_path(str(error))
                        raise OptionsError(message, f"analytics[{place}].{field}") from error
                    facts |= _zone_facts(channel, table)
        kept = tuple(c for c in device.channels if self.raw.get(c.name) != "never")
        # As its birth declares it: with the outputs, without what never goes out.
        self.declared = replace(device, channels=(*kept, *self.outputs.values()), facts=facts)

    def add(self, block: Block) -> Iterator[tuple[Analysis, Result]]:
        """Take a block; yield the outputs of the windows that it completes."""
        for name, speed in self._speeds.items():
            if name in block.samples:
                rate_hz = self._channels[name].sample_rate_hz
                speed.add(block.samples[name], block.start_time_ms, rate_hz)
        for analysis in self.analyses:
            samples = block.samples.get(analysis.channel.name)
            if samples is not None:
                for result in analysis.add(samples, block.start_time_ms):
                    yield analysis, result

    def _bind(self, channel: Channel, table: AnalyticsTable) -> None:
        if self.raw.setdefault(channel.name, table.raw) != table.raw:
            raise ValueError(f"raw: another table says {self.raw[channel.name]!r} of this channel")
        speed = self._speed(table.speed_channel)
        analysis = Analysis(self._device, channel, table, speed, self._work)
        for output in analysis.outputs:
            if output.name in self._channels or output.name in self.outputs:
                raise ValueError(f"name: two channels would be {output.name!r}; give this one")
            self.outputs[output.name] = output
        self.analyses.append(analysis)

    def _speed(self, name: str) -> Speed | None:
        """Return the speed by a channel, else by the first that measures one, else the nominal."""
        if name and name not in self._channels:
            raise ValueError(f"speed_channel: {self._device.tag} has no channel {name!r}")
        if not name:
            name = next((c.name for c in self._device.channels if c.quantity == "speed"), "")
        nominal_hz = number(self._device, "Nominal Speed")
        if not name and nominal_hz <= 0.0:
            return None
        if name not in self._speeds:
            nominal = nominal_hz if nominal_hz > 0.0 else float("nan")
            self._speeds[name] = Speed(nominal, self.span_s)
        return self._speeds[name]


def _span_s(device: Device, table: AnalyticsTable) -> float:
    window = table.window
    if window.length_s is not None:
        return window.length_s
    nominal_hz = number(device, "Nominal Speed")
    if window.revolutions is None or nominal_hz <= 0.0:
        return window.max_length_s
    return min(window.max_length_s, _SLOWER * window.revolutions / nominal_hz)


def _zone_facts(channel: Channel, table: AnalyticsTable) -> Mapping[str, Fact]:
    """Return what the birth says of a channel's zones: the limits and who gave them."""
    if table.zone is None:
        return {}
    stem = " ".join(part for part in (channel.name, table.name, "Zone") if part)
    limits = ", ".join(f"{limit:g}" for limit in table.zone.limits_mm_s)
    return {f"{stem} Limits": f"{limits} mm/s", f"{stem} Provenance": table.zone.provenance}
