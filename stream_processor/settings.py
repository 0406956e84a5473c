"""What the processor is told from outside: one frozen class, from the environment."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

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
    snapshot_interval_s: float
    telemetry_max_age_s: float
    telemetry_max_bytes: int
    host_id: str
    metrics_host: str
    metrics_port: int
    log_format: str

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
        return cls(
            data_dir=Path(text("HEADRACE_DATA_DIR", ".headrace")).absolute(),
            nats_url=text("HEADRACE_NATS_URL", "nats://127.0.0.1:4222"),
            mqtt_host=text("HEADRACE_MQTT_HOST", "127.0.0.1"),
            mqtt_port=_integer(environment, "HEADRACE_MQTT_PORT", 1883, 1, 65535),
            mqtt_authority=Path(authority).absolute() if authority else None,
            mqtt_certificate=Path(certificate).absolute() if certificate else None,
            broker_user=text("HEADRACE_BROKER_USER"),
            broker_password=text("HEADRACE_BROKER_PASSWORD"),
            grpc_host=text("HEADRACE_GRPC_HOST", "127.0.0.1"),
            grpc_port=_integer(environment, "HEADRACE_GRPC_PORT", 50051, 1, 65535),
            api_token=text("HEADRACE_API_TOKEN"),
            partitions=_integer(environment, "HEADRACE_PARTITIONS", 4, 1, 256),
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
        )

    @property
    def recovery_dir(self) -> Path:
        """Where the snapshots lie."""
        return self.data_dir / "recovery"

    def redacted(self) -> dict[str, str]:
        """Return the settings as text, secrets and passwords in URLs replaced by `***`."""
        shown = {}
        for item in fields(self):
            value = str(getattr(self, item.name))
            if item.name in SECRETS:
                value = "***" if value else ""
            elif item.name.endswith("_url"):
                value = _without_password(value)
            shown[item.name] = value
        return shown
