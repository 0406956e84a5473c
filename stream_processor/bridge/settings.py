"""What the bridge is told from outside: one frozen class, from the environment."""

from __future__ import annotations

import math
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from stream_processor.bridge.topics import is_name
from stream_processor.settings import SettingsError

SECRETS = frozenset({"password", "broker_password"})
MQTT_VERSIONS = ("5", "3.1.1")
# Part of a client identifier, of a header and of a key in JetStream's bucket.
KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True, slots=True)
class Settings:
    """The bridge's settings; `stream_processor/bridge/README.md` says what each means."""

    name: str
    instance: str
    share: str
    sites: tuple[str, ...]
    host: str
    port: int
    mqtt_version: str
    user: str
    password: str
    authority: Path | None
    certificate: Path | None
    in_flight: int
    lease_s: float
    host_id: str
    nats_url: str
    mqtt_host: str
    mqtt_port: int
    mqtt_authority: Path | None
    mqtt_certificate: Path | None
    broker_user: str
    broker_password: str
    metrics_host: str
    metrics_port: int
    log_format: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingsError: a value cannot be used; the message names the variable.
        """
        given = _Reader(environment)
        authority, certificate = given.tls("HEADRACE_BRIDGE")
        mqtt_authority, mqtt_certificate = given.tls("HEADRACE_MQTT")
        console = "console" if sys.stderr.isatty() else "json"
        return cls(
            name=given.key("HEADRACE_BRIDGE_NAME", "plant"),
            instance=given.key("HEADRACE_BRIDGE_INSTANCE", _host_name()),
            share=given.name("HEADRACE_BRIDGE_SHARE", ""),
            sites=tuple(
                given.checked("HEADRACE_BRIDGE_SITES", site)
                for site in given.text("HEADRACE_BRIDGE_SITES").split(",")
                if site
            ),
            host=given.text("HEADRACE_BRIDGE_HOST", "127.0.0.1"),
            port=given.integer("HEADRACE_BRIDGE_PORT", 1883, 1, 65535),
            mqtt_version=given.one_of(
                "HEADRACE_BRIDGE_MQTT_VERSION", MQTT_VERSIONS[0], *MQTT_VERSIONS
            ),
            user=given.text("HEADRACE_BRIDGE_USER"),
            password=given.text("HEADRACE_BRIDGE_PASSWORD"),
            authority=authority,
            certificate=certificate,
            in_flight=given.integer("HEADRACE_BRIDGE_IN_FLIGHT", 256, 1, 65535),
            lease_s=given.positive("HEADRACE_BRIDGE_LEASE", 9.0),
            host_id=given.name("HEADRACE_HOST_ID", "headrace"),
            nats_url=given.text("HEADRACE_NATS_URL", "nats://127.0.0.1:4222"),
            mqtt_host=given.text("HEADRACE_MQTT_HOST", "127.0.0.1"),
            mqtt_port=given.integer("HEADRACE_MQTT_PORT", 1883, 1, 65535),
            mqtt_authority=mqtt_authority,
            mqtt_certificate=mqtt_certificate,
            broker_user=given.text("HEADRACE_BROKER_USER"),
            broker_password=given.text("HEADRACE_BROKER_PASSWORD"),
            metrics_host=given.text("HEADRACE_METRICS_HOST", "127.0.0.1"),
            metrics_port=given.integer("HEADRACE_METRICS_PORT", 0, 0, 65535),
            log_format=given.one_of("HEADRACE_LOG_FORMAT", console, "console", "json"),
        )

    @property
    def title(self) -> str:
        """What the session at the plant's broker is called; of a shared one, each instance's."""
        return f"{self.name}-{self.instance}" if self.share else self.name

    @property
    def client_id(self) -> str:
        """Client identifier of that session; the broker keeps what was not confirmed under it."""
        return f"headrace-bridge-{self.title}"

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


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, variable: str, default: str = "") -> str:
        return self._environment.get(variable) or default

    def checked(self, variable: str, text: str) -> str:
        if not is_name(text):
            raise SettingsError(f"{variable} is {text!r}: a level of a topic cannot hold it")
        return text

    def name(self, variable: str, default: str) -> str:
        text = self.text(variable, default)
        return self.checked(variable, text) if text else ""

    def key(self, variable: str, default: str) -> str:
        text = self.text(variable, default)
        if not KEY.fullmatch(text):
            raise SettingsError(
                f"{variable} is {text!r}: give at most 60 letters, digits, `-` and `_` of ASCII"
            )
        return text

    def one_of(self, variable: str, default: str, *allowed: str) -> str:
        text = self.text(variable, default)
        if text not in allowed:
            raise SettingsError(f"{variable} is {text!r}: give {' or '.join(allowed)}")
        return text

    def integer(self, variable: str, default: int, low: int, high: int) -> int:
        text = self.text(variable, str(default))
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise SettingsError(f"{variable} is {text!r}: give a whole number from {low} to {high}")
        return value

    def positive(self, variable: str, default: float) -> float:
        text = self.text(variable, str(default))
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise SettingsError(f"{variable} is {text!r}: give a number above 0")
        return value

    def tls(self, prefix: str) -> tuple[Path | None, Path | None]:
        authority, certificate = (
            self.text(f"{prefix}_{what}") for what in ("AUTHORITY", "CERTIFICATE")
        )
        if certificate and not authority:
            raise SettingsError(f"{prefix}_CERTIFICATE needs {prefix}_AUTHORITY beside it")
        return (
            Path(authority).absolute() if authority else None,
            Path(certificate).absolute() if certificate else None,
        )


def _host_name() -> str:
    name = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname().partition(".")[0])
    return name[:60] or "bridge"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))
