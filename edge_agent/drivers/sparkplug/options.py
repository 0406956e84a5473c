"""What a gateway file says of other edge nodes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edge_agent.drivers.base import Fact
from edge_agent.drivers.grid import check_rate
from edge_agent.drivers.mqtt.broker import MqttBrokerOptions
from edge_agent.sparkplug.topics import NAMESPACE

_GLOB = frozenset("*?[")


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a gateway file."""


class SparkplugPoint(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A metric as a channel."""

    name: Annotated[str, Meta(min_length=1, description="Name of the channel.")]
    metric: Annotated[
        str, Meta(description="Of a table or template with `/` before the column; else the name.")
    ] = ""
    unit: Annotated[str, Meta(description="As in `degC`, `bar`, `1`.")] = "1"
    quantity: Annotated[str, Meta(description="As in docs/contracts.md.")] = "other"
    location: Annotated[str, Meta(description="Such as `drive_end`.")] = ""
    sample_rate_hz: Annotated[float, Meta(gt=0, le=1e6, description="Of the channel.")] = 1.0
    waveform: Annotated[bool, Meta(description="The metric is an array of samples.")] = False
    scale: Annotated[float, Meta(description="Value = metric x scale + offset.")] = 1.0
    offset: Annotated[float, Meta(description="In the unit of the value.")] = 0.0
    stale_after_s: Annotated[
        float, Meta(ge=0, description="A value older than this holds no longer; 0: it always does.")
    ] = 0.0
    writable: Annotated[bool, Meta(description="The cloud may write to it.")] = False

    @property
    def called(self) -> str:
        """What the edge node calls it."""
        return self.metric or self.name

    def __post_init__(self) -> None:
        if self.scale == 0:
            raise ValueError("scale: 0 cannot be undone")
        if self.waveform and self.writable:
            raise ValueError("writable: a waveform is not written to")


class SparkplugDevice(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine whose metrics are listed."""

    tag: Annotated[str, Meta(min_length=1, description="Equipment tag.")]
    source: Annotated[
        str, Meta(min_length=1, description="`edge node/device`, or the edge node for its own.")
    ]
    equipment_class: Annotated[str, Meta(description="As in docs/contracts.md.")] = "other"
    path: Annotated[str, Meta(description="ISA-95: `enterprise/site/area/line/cell`.")] = ""
    description: Annotated[str, Meta(description="For people.")] = ""
    facts: Annotated[
        dict[str, Fact], Meta(description="`Equipment/…` metrics, as `Nominal Speed`.")
    ] = {}
    silent_after_s: Annotated[
        float, Meta(ge=0, description="Silent for longer, it counts as away; 0 for never.")
    ] = 0.0
    points: Annotated[list[SparkplugPoint], Meta(min_length=1, description="Its metrics.")]

    def __post_init__(self) -> None:
        names = [point.name for point in self.points]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"points: two have the name {name!r}")
        if _GLOB & set(self.source) or self.source.count("/") > 1:
            raise ValueError(f"source: {self.source!r} is not `edge node/device`")


class SparkplugWhole(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Devices whose numeric metrics are all taken, by their own names and units."""

    source: Annotated[
        str, Meta(min_length=1, description="Pattern of `edge node/device`, such as `line-3/*`.")
    ]
    exclude_sources: Annotated[list[str], Meta(description="Patterns of those left out.")] = []
    tag: Annotated[str, Meta(description="With `{node}` and `{device}`.")] = "{device}"
    tags: Annotated[
        dict[str, str], Meta(description="Tags of single ones, by `edge node/device`.")
    ] = {}
    equipment_class: Annotated[str, Meta(description="As in docs/contracts.md.")] = "other"
    path: Annotated[str, Meta(description="ISA-95: `enterprise/site/area/line/cell`.")] = ""
    include: Annotated[list[str], Meta(description="Patterns of metrics.")] = msgspec.field(
        default_factory=lambda: ["*"]
    )
    exclude: Annotated[list[str], Meta(description="Patterns of metrics left out.")] = (
        msgspec.field(default_factory=lambda: ["Properties/*", "Node Control/*"])
    )
    sample_rate_hz: Annotated[float, Meta(gt=0, le=1e6, description="Of single values.")] = 1.0
    waveform_rate_hz: Annotated[
        float, Meta(ge=0, le=1e6, description="Of arrays without a `sampleRate`; 0: left out.")
    ] = 0.0
    stale_after_s: Annotated[float, Meta(ge=0, description="As a point's.")] = 0.0
    writable: Annotated[list[str], Meta(description="Patterns of metrics to be written to.")] = []

    def __post_init__(self) -> None:
        try:
            self.tag.format(node="n", device="d")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError("tag: only {node} and {device} may stand in braces") from error


class Options(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of edge nodes at a broker, and which of their devices are taken."""

    broker: MqttBrokerOptions
    group: Annotated[str, Meta(min_length=1, description="Sparkplug group.")]
    host_id: Annotated[
        str, Meta(description="Host application that we are for them (STATE); empty for none.")
    ] = ""
    devices: Annotated[list[SparkplugDevice], Meta(description="With listed metrics.")] = []
    whole_devices: Annotated[list[SparkplugWhole], Meta(description="With all metrics.")] = []
    layout_file: Annotated[
        str,
        Meta(
            description="Where is kept what was found of whole devices; "
            "else a file in HEADRACE_DATA_DIR."
        ),
    ] = ""
    learn_s: Annotated[
        float, Meta(gt=0, le=600, description="How long is listened for whole devices.")
    ] = 10.0
    rebirth_interval_s: Annotated[
        float, Meta(ge=1, description="Between two requests for the births of an edge node.")
    ] = 10.0
    reorder_s: Annotated[
        float, Meta(ge=0, le=60, description="How long is waited for a message that lacks.")
    ] = 2.0
    block_s: Annotated[float, Meta(ge=0.01, le=3600, description="Length of a block.")] = 1.0
    settle_s: Annotated[
        float, Meta(ge=0, le=3600, description="How long a block waits for late values.")
    ] = 0.5
    max_ahead_s: Annotated[
        float, Meta(gt=0, description="A time further ahead is not believed; arrival counts.")
    ] = 5.0
    browse_s: Annotated[
        float, Meta(gt=0, le=600, description="How long `headrace edge browse` listens.")
    ] = 5.0

    def __post_init__(self) -> None:
        for field in ("group", "host_id"):
            if set(getattr(self, field)) & set("/+#"):
                raise ValueError(f"{field}: {getattr(self, field)!r} may hold none of / + #")
        if abs(self.block_s * 1000 - round(self.block_s * 1000)) > 1e-6:
            raise ValueError("block_s: is not a whole number of milliseconds")
        for what in ("tag", "source"):
            names = [getattr(device, what) for device in self.devices]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"devices: two have the {what} {name!r}")
        for i, device in enumerate(self.devices):
            for j, point in enumerate(device.points):
                if not point.waveform:
                    check_rate(f"devices[{i}].points[{j}]", point.sample_rate_hz, self.block_s)
        for i, whole in enumerate(self.whole_devices):
            check_rate(f"whole_devices[{i}]", whole.sample_rate_hz, self.block_s)

    @property
    def filter(self) -> str:
        """What is subscribed to."""
        return f"{NAMESPACE}/{self.group}/#"
