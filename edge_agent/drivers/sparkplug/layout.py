"""Whole devices: found in their births once, then known before they are heard of."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

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


class LayoutLearnedError(RuntimeError):
    """The devices of a group are known now; the agent begins anew with them."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for which options."""

    asked: str
    devices: list[SparkplugDevice]


def path_of(options: Options) -> Path:
    """Return the file that the layout of these options is kept in."""
    if options.layout_file:
        return Path(options.layout_file)
    asked = f"{options.broker.host}:{options.broker.port}/{options.group}"
    name = hashlib.sha256(asked.encode()).hexdigest()[:12]
    folder = Path(os.environ.get("HEADRACE_DATA_DIR", ".headrace"))
    return folder / "edge" / f"sparkplug-{name}.json"


def load(options: Options) -> list[SparkplugDevice] | None:
    """Return the devices that were found earlier for the same options, or None.

    Raises:
        ValueError: the file cannot be read.
    """
    path = path_of(options)
    try:
        layout = msgspec.json.decode(path.read_bytes(), type=Layout)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(f"layout_file: {path}: {error}; delete it to have it made anew") from error
    return layout.devices if layout.asked == _asked(options) else None


def save(options: Options, devices: list[SparkplugDevice]) -> Path:
    """Keep what was found; return the file, which is whole at any time."""
    path = path_of(options)
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = Layout(asked=_asked(options), devices=devices)
    made = path.with_name(path.name + ".new")
    with made.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(layout)))
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)
    return path


def _asked(options: Options) -> str:
    asked = msgspec.json.encode((options.group, options.whole_devices))
    return hashlib.sha256(asked).hexdigest()


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
