"""What a gateway file says of an OPC UA server."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlparse

import msgspec
from msgspec import Meta

from edge_agent.drivers.base import Fact
from edge_agent.drivers.grid import check_rate
from edge_agent.drivers.opcua.nodes import parse

Security = Literal["none", "sign", "sign_and_encrypt"]
Policy = Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"]
Timestamps = Literal["source", "server", "gateway"]
Mode = Literal["auto", "subscribe", "poll"]

_THUMBPRINT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def _check_node(field: str, text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


class PointOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One variable of the server as a channel."""

    name: Annotated[str, Meta(min_length=1, description="Name of the channel.")]
    node: Annotated[
        str,
        Meta(
            description="`nsu=<namespace URI>;s=<name>` (or `i=`, `g=`, `b=`), as `headrace edge "
            "browse` lists it, or the path `/Name/Name` below Objects."
        ),
    ]
    unit: Annotated[str, Meta(description="UCUM-like, such as `degC` or `mm/s`.")] = "1"
    quantity: Annotated[str, Meta(description="What is measured, such as `temperature`.")] = "other"
    location: Annotated[str, Meta(description="Where, such as `drive_end`.")] = ""
    sample_rate_hz: Annotated[
        float, Meta(gt=0, le=1e6, description="Of the channel; a waveform's own rate.")
    ] = 1.0
    waveform: Annotated[
        bool, Meta(description="The node holds an array: one value is a whole waveform.")
    ] = False
    stale_after_s: Annotated[
        float,
        Meta(
            ge=0,
            description="A value older than this is not sampled any more; 0 holds it as long as "
            "the server says that nothing changed.",
        ),
    ] = 0.0
    deadband: Annotated[
        float, Meta(ge=0, description="The server reports larger changes only; 0 for every one.")
    ] = 0.0
    timestamp_of: Annotated[
        Literal["first", "last"],
        Meta(description="Which sample of a waveform its timestamp is of."),
    ] = "first"
    writable: Annotated[bool, Meta(description="The cloud may write to it.")] = False

    def __post_init__(self) -> None:
        _check_node("node", self.node)
        if self.waveform and self.writable:
            raise ValueError("writable: a waveform is not written to")
        if self.waveform and self.deadband:
            raise ValueError("deadband: is not for a waveform")


class DeviceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine whose variables are listed."""

    tag: Annotated[str, Meta(description="Tag of the equipment.")]
    equipment_class: Annotated[str, Meta(description="Such as `centrifugal_pump`.")] = "other"
    path: Annotated[str, Meta(description="ISA-95, `enterprise/site/area/line/cell`.")] = ""
    description: Annotated[str, Meta(description="For people.")] = ""
    facts: Annotated[
        dict[str, Fact], Meta(description="Such as `Nominal Speed`, see docs/contracts.md.")
    ] = msgspec.field(default_factory=dict)
    points: Annotated[list[PointOptions], Meta(min_length=1, description="Its variables.")]

    def __post_init__(self) -> None:
        names = [point.name for point in self.points]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"points: two have the name {name!r}")


class MachineOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object of the server whose variables are all taken, by their own names and units."""

    node: Annotated[str, Meta(description="The object, written as a point's node.")]
    each: Annotated[
        bool, Meta(description="The node is a folder: every object in it is a machine.")
    ] = False
    tag: Annotated[str, Meta(description="Else the object's browse name.")] = ""
    equipment_class: Annotated[
        str, Meta(description="Else what Identification/DeviceClass says, or `other`.")
    ] = ""
    path: Annotated[
        str,
        Meta(description="ISA-95, `enterprise/site/area/line/cell`; else Identification/Location."),
    ] = ""
    facts: Annotated[dict[str, Fact], Meta(description="As a device's.")] = msgspec.field(
        default_factory=dict
    )
    include: Annotated[
        list[str], Meta(description="Patterns of name paths, such as `Monitoring/*`.")
    ] = msgspec.field(default_factory=lambda: ["*"])
    exclude: Annotated[list[str], Meta(description="Patterns of what is left out.")] = (
        msgspec.field(default_factory=lambda: ["Identification/*"])
    )
    sample_rate_hz: Annotated[float, Meta(gt=0, le=1e6, description="Of single values.")] = 1.0
    waveform_rate_hz: Annotated[
        float,
        Meta(ge=0, le=1e6, description="Of arrays that have no property SampleRate; 0: left out."),
    ] = 0.0
    stale_after_s: Annotated[float, Meta(ge=0, description="As a point's.")] = 0.0
    writable: Annotated[
        bool, Meta(description="The cloud may write to what the server lets be written.")
    ] = False

    def __post_init__(self) -> None:
        _check_node("node", self.node)
        if self.each and self.tag:
            raise ValueError("tag: machines of a folder have their own names")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server, how it is trusted, what is asked of it, and which machines it speaks for."""

    endpoint: Annotated[str, Meta(description="`opc.tcp://host:4840/path`.")]
    security: Annotated[
        Security, Meta(description="Of the channel: `none`, `sign` or `sign_and_encrypt`.")
    ] = "none"
    policy: Annotated[
        Policy, Meta(description="With which algorithms, when there is security.")
    ] = "Basic256Sha256"
    certificate: Annotated[str, Meta(description="File (PEM or DER) of our certificate.")] = ""
    private_key: Annotated[str, Meta(description="File (PEM or DER) of its key.")] = ""
    create_certificate: Annotated[
        bool, Meta(description="Make both files, self-signed, when they are not there.")
    ] = False
    server_certificate: Annotated[
        str, Meta(description="File (PEM or DER) of the one certificate that is trusted.")
    ] = ""
    server_thumbprint: Annotated[
        str, Meta(description="Its SHA-1 or SHA-256 instead, in hexadecimal digits.")
    ] = ""
    user: Annotated[str, Meta(description="Empty for an anonymous session.")] = ""
    password_env: Annotated[str, Meta(description="Environment variable of the password.")] = ""
    password_file: Annotated[str, Meta(description="File whose first line is the password.")] = ""
    allow_plain_password: Annotated[
        bool, Meta(description="Send the password readable when the server offers nothing else.")
    ] = False
    application_uri: Annotated[
        str, Meta(description="Who we are to the server; else what our certificate says.")
    ] = ""
    session_timeout_s: Annotated[
        float, Meta(gt=0, description="How long the server keeps our session over a break.")
    ] = 120.0
    request_timeout_s: Annotated[float, Meta(gt=0, description="Of each request.")] = 10.0
    keep_alive_s: Annotated[
        float, Meta(gt=0, description="How often the connection is looked after.")
    ] = 5.0
    reconnect_max_s: Annotated[
        float, Meta(gt=0, description="Longest wait between two attempts to connect.")
    ] = 30.0
    lost_after_s: Annotated[
        float, Meta(ge=0, description="A break that is over sooner is not told to the cloud.")
    ] = 10.0
    mode: Annotated[
        Mode, Meta(description="`auto` reads in turn when the server refuses subscriptions.")
    ] = "auto"
    publishing_interval_ms: Annotated[
        float, Meta(gt=0, description="How often the server sends what changed.")
    ] = 500.0
    sampling_interval_ms: Annotated[
        float, Meta(ge=0, description="How often the server, or polling, looks; 0: its fastest.")
    ] = 250.0
    queue_size: Annotated[
        int, Meta(gt=0, le=100_000, description="Values of a node kept by the server over a break.")
    ] = 600
    timestamps: Annotated[
        Timestamps, Meta(description="Whose clock says when: of the source, or who is behind it.")
    ] = "source"
    max_ahead_s: Annotated[
        float, Meta(gt=0, description="A source further ahead of its server is not believed.")
    ] = 5.0
    block_s: Annotated[float, Meta(ge=0.01, le=3600, description="Length of a block.")] = 1.0
    settle_s: Annotated[
        float, Meta(ge=0, description="How long a block waits for late values.")
    ] = 0.5
    layout_file: Annotated[
        str,
        Meta(
            description="Where is kept what was found of whole machines; "
            "else a file in HEADRACE_DATA_DIR."
        ),
    ] = ""
    devices: Annotated[
        list[DeviceOptions], Meta(description="Machines whose variables are listed.")
    ] = msgspec.field(default_factory=list)
    whole_machines: Annotated[
        list[MachineOptions], Meta(description="Machines whose variables are all taken.")
    ] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        address = urlparse(self.endpoint)
        if address.scheme != "opc.tcp" or not address.hostname or address.username:
            raise ValueError(f"endpoint: {self.endpoint!r} is not opc.tcp://host:port/path")
        self._check_trust()
        if abs(self.block_s * 1000 - round(self.block_s * 1000)) > 1e-9:
            raise ValueError("block_s: is not a whole number of milliseconds")
        for i, device in enumerate(self.devices):
            for j, point in enumerate(device.points):
                if not point.waveform:
                    check_rate(f"devices[{i}].points[{j}]", point.sample_rate_hz, self.block_s)
        for i, machine in enumerate(self.whole_machines):
            check_rate(f"whole_machines[{i}]", machine.sample_rate_hz, self.block_s)
        tags = [device.tag for device in self.devices]
        for tag in tags:
            if tags.count(tag) > 1:
                raise ValueError(f"devices: two have the tag {tag!r}")

    def _check_trust(self) -> None:
        if bool(self.certificate) != bool(self.private_key):
            raise ValueError("certificate: and `private_key` go together")
        if self.security != "none" and not self.certificate:
            raise ValueError("certificate: is needed with security; create_certificate makes one")
        if self.server_certificate and self.server_thumbprint:
            raise ValueError("server_thumbprint: the server's certificate is named already")
        if self.server_thumbprint and not _THUMBPRINT.fullmatch(self.pinned_thumbprint):
            raise ValueError("server_thumbprint: is neither 40 nor 64 hexadecimal digits")
        if self.password_env and self.password_file:
            raise ValueError("password_file: the password comes from the environment already")
        if (self.password_env or self.password_file) and not self.user:
            raise ValueError("user: is needed with a password")

    @property
    def pinned_thumbprint(self) -> str:
        """The trusted thumbprint as bare lower-case digits."""
        return re.sub(r"[\s:]", "", self.server_thumbprint).lower()
