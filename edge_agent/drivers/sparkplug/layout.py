"""Whole devices: found in their births once, then known before they are heard of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_agent.drivers import layout_file
from edge_agent.drivers.sparkplug.nodes import Known, flattened
from edge_agent.drivers.sparkplug.options import (
    Options,
    SparkplugDevice,
    SparkplugPoint,
    SparkplugWhole,
)
from edge_agent.sparkplug.metrics import ARRAYS
from edge_agent.v1 import sparkplug_b_pb2 as pb

_NUMBERS: Final = frozenset(range(pb.DATA_TYPE_INT8, pb.DATA_TYPE_BOOLEAN + 1))


def path_of(options: Options) -> Path:
    """Return the file that the layout of these options is kept in."""
    source = f"{options.broker.host}:{options.broker.port}/{options.group}"
    return layout_file.place(options.layout_file, "sparkplug", source)


def load(options: Options) -> list[SparkplugDevice] | None:
    """Return the devices that were found earlier for the same options, or None.

    Raises:
        ValueError: the file cannot be read.
    """
    return layout_file.load(path_of(options), _asked(options), SparkplugDevice)


def save(options: Options, devices: Sequence[SparkplugDevice]) -> Path:
    """Keep what was found; return the file, which is whole at any time."""
    path = path_of(options)
    layout_file.save(path, _asked(options), devices)
    return path


def _asked(options: Options) -> object:
    return options.group, options.whole_devices


def device_of(
    options: Options, source: str, metrics: Mapping[str, Known]
) -> SparkplugDevice | None:
    """Return a device that was born as the first pattern that it matches takes it, or None."""
    for whole in options.whole_devices:
        if fnmatchcase(source, whole.source) and not _is_any(source, whole.exclude_sources):
            break
    else:
        return None
    points = [
        point
        for known in metrics.values()
        if _is_any(known.name, whole.include) and not _is_any(known.name, whole.exclude)
        for point in _points(whole, known)
    ]
    if not points:
        return None
    node, _, device = source.partition("/")
    tag = whole.tags.get(source) or whole.tag.format(node=node, device=device or node)
    return SparkplugDevice(
        tag=re.sub(r"[/+#.*>\s]+", "-", tag).strip("-") or "device",
        source=source,
        equipment_class=whole.equipment_class,
        path=whole.path,
        points=points,
    )


def _points(whole: SparkplugWhole, known: Known) -> list[SparkplugPoint]:
    leaves: list[tuple[str, Any]] = []
    if known.value is not None and known.datatype != pb.DATA_TYPE_DATE_TIME:
        leaves = list(flattened(known.name, known.value))
    elif known.datatype in ARRAYS:
        # Without a value the type says what it will be; of a table or template nothing does.
        leaves = [(known.name, np.empty(0))]
    elif known.datatype in _NUMBERS:
        leaves = [(known.name, None)]
    found: list[SparkplugPoint] = []
    for name, value in leaves:
        is_array = isinstance(value, np.ndarray)
        rate_hz = known.number("sampleRate") or whole.waveform_rate_hz
        if is_array and rate_hz <= 0:
            continue
        found.append(
            SparkplugPoint(
                name=name,
                unit=known.text("engUnit") or "1",
                quantity=known.text("quantity") or "other",
                location=known.text("location"),
                sample_rate_hz=rate_hz if is_array else whole.sample_rate_hz,
                waveform=is_array,
                stale_after_s=whole.stale_after_s,
                writable=not is_array and name == known.name and _is_any(name, whole.writable),
            )
        )
    return found


def _is_any(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
