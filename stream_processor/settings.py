"""What the processor is told from outside: one frozen class, from the environment."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from stream_processor.event_time import MAX_LATENESS_S
from stream_processor.rules.problems import RuleFileError
from stream_processor.rules.rule_file import SHIPPED, RuleBook

SECRETS = frozenset({"broker_password", "api_token"})
FORBIDDEN_IN_TOPICS = frozenset("/+#.*> \t\r\n")


class SettingsError(ValueError):
    """A variable of the environment has a value the processor cannot use."""


def _integer(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environment.get(name) or str(default)
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise SettingsError(f"{name} is {text!r}: give a whole number from {low} to {high}")
    return value


def _positive(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise SettingsError(f"{name} is {text!r}: give a number above 0")
    return value


def _lateness(environment: Mapping[str, str]) -> float:
    text = environment.get("HEADRACE_LATENESS_S") or "0"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= MAX_LATENESS_S:
        raise SettingsError(
            f"HEADRACE_LATENESS_S is {text!r}: give a number from 0 to {MAX_LATENESS_S:.0f}"
        )
    return value


def _replicas(environment: Mapping[str, str]) -> int:
    text = environment.get("HEADRACE_STREAM_REPLICAS") or "1"
    if text not in ("1", "3", "5"):
        raise SettingsError(f"HEADRACE_STREAM_REPLICAS is {text!r}: give 1, 3 or 5")
    return int(text)


def _rules(text: str) -> Path:
    folder = Path(text).absolute()
    if not folder.is_dir():
        raise SettingsError(f"HEADRACE_RULES_DIR is {text!r}: there is no such folder")
    try:
        RuleBook.starting(folder)
    except (RuleFileError, OSError) as error:
        raise SettingsError(f"HEADRACE_RULES_DIR: {error}") from error
    return folder


def _lives(text: str) -> Path | None:
    if not text:
        return None
    folder = Path(text).absolute()
    if not folder.is_dir():
        raise SettingsError(f"HEADRACE_LIFE_DIR is {text!r}: there is no such folder")
    return folder


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))


@dataclass(frozen=True, slots=True)
class Settings:
    """The processor's settings; `stream_processor/README.md` says what each means."""

    data_dir: Path
    nats_url: str
    stream_replicas: int
    mqtt_host: str
    mqtt_port: int
    mqtt_authority: Path | None
    mqtt_certificate: Path | None
    broker_user: str
    broker_password: str
    grpc_host: str
    grpc_port: int
    api_token: str
    partitions: int
    processes: int
    process: int
    lateness_s: float
    snapshot_interval_s: float
    telemetry_max_age_s: float
    telemetry_max_bytes: int
    host_id: str
    metrics_host: str
    metrics_port: int
    log_format: str
    rules_dir: Path
    life_dir: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingsError: a value cannot be used; the message names the variable.
        """

        def text(name: str, default: str = "") -> str:
            return environment.get(name) or default

        host_id = environment.get("HEADRACE_HOST_ID", "headrace")
        if FORBIDDEN_IN_TOPICS.intersection(host_id):
            raise SettingsError(f"HEADRACE_HOST_ID is {host_id!r}: a topic cannot hold it")
        authority, certificate = (
            text(f"HEADRACE_MQTT_{name}") for name in ("AUTHORITY", "CERTIFICATE")
        )
        if certificate and not authority:
            raise SettingsError("HEADRACE_MQTT_CERTIFICATE needs HEADRACE_MQTT_AUTHORITY beside it")
        log_format = text("HEADRACE_LOG_FORMAT", "console" if sys.stderr.isatty() else "json")
        if log_format not in ("console", "json"):
            raise SettingsError(f"HEADRACE_LOG_FORMAT is {log_format!r}: give console or json")
        partitions = _integer(environment, "HEADRACE_PARTITIONS", 4, 1, 256)
        processes = _integer(environment, "HEADRACE_PROCESSES", 1, 1, partitions)
        return cls(
            data_dir=Path(text("HEADRACE_DATA_DIR", ".headrace")).absolute(),
            nats_url=text("HEADRACE_NATS_URL", "nats://127.0.0.1:4222"),
            stream_replicas=_replicas(environment),
            mqtt_host=text("HEADRACE_MQTT_HOST", "127.0.0.1"),
            mqtt_port=_integer(environment, "HEADRACE_MQTT_PORT", 1883, 1, 65535),
            mqtt_authority=Path(authority).absolute() if authority else None,
            mqtt_certificate=Path(certificate).absolute() if certificate else None,
            broker_user=text("HEADRACE_BROKER_USER"),
            broker_password=text("HEADRACE_BROKER_PASSWORD"),
            grpc_host=text("HEADRACE_GRPC_HOST", "127.0.0.1"),
            grpc_port=_integer(environment, "HEADRACE_GRPC_PORT", 50051, 1, 65535),
            api_token=text("HEADRACE_API_TOKEN"),
            partitions=partitions,
            processes=processes,
            process=_integer(environment, "HEADRACE_PROCESS", 0, 0, processes - 1),
            lateness_s=_lateness(environment),
            snapshot_interval_s=_positive(environment, "HEADRACE_SNAPSHOT_INTERVAL", 1.0),
            telemetry_max_age_s=3600
            * _positive(environment, "HEADRACE_TELEMETRY_MAX_AGE_HOURS", 168.0),
            telemetry_max_bytes=_integer(
                environment, "HEADRACE_TELEMETRY_MAX_BYTES", 2 << 30, 1 << 20, 1 << 50
            ),
            host_id=host_id,
            metrics_host=text("HEADRACE_METRICS_HOST", "127.0.0.1"),
            metrics_port=_integer(environment, "HEADRACE_METRICS_PORT", 0, 0, 65535),
            log_format=log_format,
            rules_dir=_rules(text("HEADRACE_RULES_DIR", str(SHIPPED))),
            life_dir=_lives(text("HEADRACE_LIFE_DIR", "")),
        )

    @property
    def nats_servers(self) -> list[str]:
        """The servers of the broker's cluster, of which any will do."""
        return self.nats_url.split(",")

    @property
    def own_partitions(self) -> range:
        """The partitions of the log that this process takes."""
        return range(self.process, self.partitions, self.processes)

    def recovery_dir(self, partition: int) -> Path:
        """Return where the snapshots of a partition lie."""
        return self.data_dir / "recovery" / f"partition-{partition}"

    def redacted(self) -> dict[str, str]:
        """Return the settings as text, secrets and passwords in URLs replaced by `***`."""
        shown = {}
        for item in fields(self):
            value = str(getattr(self, item.name))
            if item.name in SECRETS:
                value = "***" if value else ""
            elif item.name.endswith("_url"):
                value = ",".join(map(_without_password, value.split(",")))
            shown[item.name] = value
        return shown
