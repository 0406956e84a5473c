"""What an agent is told: a gateway file, and this machine's part from the environment."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edge_agent.analytics.options import AnalyticsTable, CaptureTable, ReportTable
from edge_agent.drivers import split_path
from edge_agent.fleet import FleetTable, StatusTable
from edge_agent.sparkplug import SparkplugTable
from edge_agent.sparkplug.topics import TopicNameError, check_name
from edge_agent.store.options import SpoolOptions
from edge_agent.updates import UpdatesTable
from edge_agent.writes import WriteTable


class SettingsError(ValueError):
    """The gateway file or the environment is wrong; the message names the field.

    `path` is the field in the file, such as `drivers[0].options.port`; empty when it is none.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class DriverTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[drivers]]` table: which kind, its options, and how fast it may go."""

    kind: Annotated[str, Meta(description="The protocol, or `plugin` for a driver of your own.")]
    factory: Annotated[str, Meta(description="Of a plug-in: `module:function`.")] = ""
    pace_hz: Annotated[
        float, Meta(ge=0, description="Blocks a second at most; 0 for no limit.")
    ] = 0.0
    options: Annotated[dict[str, Any], Meta(description="What the kind wants to know.")] = (
        msgspec.field(default_factory=dict)
    )

    def __post_init__(self) -> None:
        if (self.kind == "plugin") != bool(self.factory):
            raise ValueError("factory: a plug-in needs one, nothing else has one")
        if not isfinite(self.pace_hz):
            raise ValueError(f"pace_hz: {self.pace_hz} is not a number of blocks a second")

    @property
    def chosen(self) -> tuple[str, Mapping[str, Any]]:
        """The kind and what it is told."""
        if self.kind == "plugin":
            return self.kind, {"factory": self.factory, "options": self.options}
        return self.kind, self.options


class BrokerTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[broker]` table; the environment is stronger. With `ca` the connection is TLS."""

    host: Annotated[str, Meta(min_length=1, description="Name or address of the broker.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="MQTT's door.")] = 1883
    user: Annotated[str, Meta(description="Empty for none.")] = ""
    ca: Annotated[str, Meta(description="PEM file of the authority that the broker is under.")] = ""
    certificate: Annotated[str, Meta(description="PEM file of this gateway's certificate.")] = ""
    key: Annotated[str, Meta(description="PEM file of this gateway's private key.")] = ""

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate: and `key` go together")
        if self.certificate and not self.ca:
            raise ValueError("ca: is needed beside a certificate")


class Gateway(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gateway file."""

    site: Annotated[str, Meta(description="The ISA-95 site: Sparkplug's group.")]
    edge_node: Annotated[str, Meta(description="This gateway's name in the site.")]
    drivers: Annotated[
        list[DriverTable], Meta(min_length=1, description="At least one [[drivers]] table.")
    ]
    broker: BrokerTable = BrokerTable()
    updates: UpdatesTable = UpdatesTable()
    fleet: FleetTable = FleetTable()
    status: StatusTable = StatusTable()
    sparkplug: SparkplugTable = SparkplugTable()
    writes: Annotated[
        list[WriteTable], Meta(description="What commands may write to; nothing else.")
    ] = msgspec.field(default_factory=list)
    analytics: Annotated[
        list[AnalyticsTable], Meta(description="What is made of channels before they go out.")
    ] = msgspec.field(default_factory=list)
    capture: Annotated[
        list[CaptureTable], Meta(description="When waveforms that are kept here go out.")
    ] = msgspec.field(default_factory=list)
    report: Annotated[
        list[ReportTable], Meta(description="Channels that go out when they changed.")
    ] = msgspec.field(default_factory=list)
    max_unacknowledged: Annotated[
        int,
        Meta(gt=0, description="Batches not acknowledged above which a source that can wait does."),
    ] = 2048
    spool: SpoolOptions = SpoolOptions()
    health_interval_s: Annotated[
        float, Meta(gt=0, description="Seconds between two reports of the agent's own health.")
    ] = 10.0

    def __post_init__(self) -> None:
        for name in ("site", "edge_node"):
            try:
                check_name(name, getattr(self, name))
            except TopicNameError as error:
                raise ValueError(str(error)) from error
        if not isfinite(self.health_interval_s):
            raise ValueError(f"health_interval_s: {self.health_interval_s} is no time")


@dataclass(frozen=True, slots=True)
class Settings:
    """An agent's settings: the gateway file, and where this machine keeps and finds things."""

    gateway: Gateway
    data_dir: Path = Path(".headrace")
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 1883
    broker_user: str = ""
    broker_password: str = field(default="", repr=False)

    @property
    def site(self) -> str:
        """The ISA-95 site."""
        return self.gateway.site

    @property
    def edge_node(self) -> str:
        """The gateway's name in the site."""
        return self.gateway.edge_node

    @property
    def journal_path(self) -> Path:
        """The file of the commands that were carried out."""
        return self.data_dir / "edge" / self.site / f"{self.edge_node}.commands"

    @property
    def spool_path(self) -> Path:
        """The spool's file."""
        return self.data_dir / "edge" / self.site / f"{self.edge_node}.spool"

    def shown(self) -> dict[str, str]:
        """Return the settings for the log, secrets redacted."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "gateway"}
        values |= {
            name: value
            for name in self.gateway.__struct_fields__
            if not isinstance(value := getattr(self.gateway, name), msgspec.Struct | list)
        }
        return {
            name: "***" if "password" in name and value else str(value)
            for name, value in values.items()
        }


def parse(path: Path) -> dict[str, Any]:
    """Return the document of a gateway file.

    Raises:
        SettingsError: it cannot be read, or is no TOML; the message has line and column.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: {error}") from error


def gateway_of(document: Mapping[str, Any]) -> Gateway:
    """Return a checked gateway file; the options of its drivers are checked when they are opened.

    Raises:
        SettingsError: a field is missing, unknown or wrong.
    """
    try:
        return msgspec.convert(document, Gateway)
    except msgspec.ValidationError as error:
        raise SettingsError(*split_path(str(error))) from error


def read(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read a gateway file.

    Raises:
        SettingsError: it cannot be read, or a field is missing, unknown or wrong.
    """
    try:
        gateway = gateway_of(parse(path))
    except SettingsError as error:
        if not error.path:
            raise
        raise SettingsError(f"{path}: {error}", error.path) from error
    env = os.environ if environment is None else environment
    broker = gateway.broker
    port = env.get("HEADRACE_MQTT_PORT", str(broker.port))
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise SettingsError(f"HEADRACE_MQTT_PORT: {port!r} is no port")
    return Settings(
        gateway=gateway,
        data_dir=Path(env.get("HEADRACE_DATA_DIR", ".headrace")),
        mqtt_host=env.get("HEADRACE_MQTT_HOST", broker.host),
        mqtt_port=int(port),
        broker_user=env.get("HEADRACE_BROKER_USER", broker.user),
        broker_password=env.get("HEADRACE_BROKER_PASSWORD", ""),
    )
