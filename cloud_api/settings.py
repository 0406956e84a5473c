"""What the server is told from outside: one frozen class, from the environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from cloud_api.historian.levels import Retention

SECRETS = frozenset({"broker_password", "api_token", "admin_password"})


class SettingsError(ValueError):
    """A variable of the environment has a value the server cannot use."""


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise SettingsError(f"{name} is {text!r}: give a port between 1 and 65535")
    return port


def _replicas(environment: Mapping[str, str]) -> int:
    text = environment.get("HEADRACE_STREAM_REPLICAS") or "1"
    if text not in ("1", "3", "5"):
        raise SettingsError(f"HEADRACE_STREAM_REPLICAS is {text!r}: give 1, 3 or 5")
    return int(text)


def _retention(environment: Mapping[str, str]) -> Retention:
    kept = {}
    for item in fields(Retention):
        name = f"HEADRACE_HISTORIAN_{item.name.upper()}"
        text = environment.get(name)
        if not text:
            continue
        try:
            kept[item.name] = int(text)
        except ValueError:
            raise SettingsError(f"{name} is {text!r}: give a whole number, 0 for no end") from None
    try:
        return Retention(**kept)
    except ValueError as error:
        raise SettingsError(f"HEADRACE_HISTORIAN_…_DAYS and …_BYTES: {error}") from error


def _without_password(url: str) -> str:
    """Return `url` with its password, if it has one, replaced."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))


@dataclass(frozen=True, slots=True)
class Settings:
    """The server's settings; `docs/contracts.md` says what each means.

    `mqtt_host` and `mqtt_port` are what an enrolled gateway is told; `broker_services` the users of
    our own certificates.

    `admin_password` is that of the user `admin` at the first start; empty lets the server make one
    and print it.
    """

    data_dir: Path
    nats_url: str
    stream_replicas: int
    mqtt_host: str
    mqtt_port: int
    broker_user: str
    broker_password: str
    broker_pid_file: Path | None
    broker_services: tuple[str, ...]
    http_host: str
    http_port: int
    grpc_host: str
    grpc_port: int
    api_token: str
    admin_password: str
    database_url: str
    historian_url: str
    historian_retention: Retention
    log_format: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingsError: a value cannot be used; the message names the variable.
        """

        def text(name: str, default: str = "") -> str:
            return environment.get(name) or default

        data_dir = Path(text("HEADRACE_DATA_DIR", ".headrace")).absolute()
        log_format = text("HEADRACE_LOG_FORMAT", "console" if sys.stderr.isatty() else "json")
        if log_format not in ("console", "json"):
            raise SettingsError(f"HEADRACE_LOG_FORMAT is {log_format!r}: give console or json")
        pid_file = text("HEADRACE_BROKER_PID_FILE")
        api_token = text("HEADRACE_API_TOKEN")
        if api_token and len(api_token) < 16:
            raise SettingsError("HEADRACE_API_TOKEN is too short: give at least 16 characters")
        return cls(
            data_dir=data_dir,
            nats_url=text("HEADRACE_NATS_URL", "nats://127.0.0.1:4222"),
            stream_replicas=_replicas(environment),
            mqtt_host=text("HEADRACE_GATEWAY_MQTT_HOST", text("HEADRACE_MQTT_HOST", "127.0.0.1")),
            mqtt_port=_port(
                environment,
                "HEADRACE_GATEWAY_MQTT_PORT",
                _port(environment, "HEADRACE_MQTT_PORT", 1883),
            ),
            broker_user=text("HEADRACE_BROKER_USER"),
            broker_password=text("HEADRACE_BROKER_PASSWORD"),
            broker_pid_file=Path(pid_file).absolute() if pid_file else None,
            broker_services=tuple(text("HEADRACE_BROKER_SERVICES").split()),
            http_host=text("HEADRACE_HTTP_HOST", "127.0.0.1"),
            http_port=_port(environment, "HEADRACE_HTTP_PORT", 8080),
            grpc_host=text("HEADRACE_GRPC_HOST", "127.0.0.1"),
            grpc_port=_port(environment, "HEADRACE_GRPC_PORT", 50051),
            api_token=api_token,
            admin_password=text("HEADRACE_ADMIN_PASSWORD"),
            database_url=text("HEADRACE_DATABASE_URL", f"sqlite:///{data_dir / 'headrace.db'}"),
            historian_url=text(
                "HEADRACE_HISTORIAN_URL", f"duckdb:///{data_dir / 'historian.duckdb'}"
            ),
            historian_retention=_retention(environment),
            log_format=log_format,
        )

    @property
    def nats_servers(self) -> list[str]:
        """The servers of the broker's cluster, of which any will do."""
        return self.nats_url.split(",")

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
