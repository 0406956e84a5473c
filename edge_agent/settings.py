"""What an agent is told: a gateway file, and the broker from the environment."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any, Final

from edge_agent.sparkplug.topics import TopicNameError, check_name


class SettingsError(ValueError):
    """The gateway file or the environment is wrong; the message names the field."""


@dataclass(frozen=True, slots=True)
class DriverSettings:
    """One `[[drivers]]` table: which kind, its options, and how fast it may go."""

    kind: str
    options: Mapping[str, Any]
    # `module:function` of a plug-in.
    factory: str = ""
    # Blocks a second at most; 0 for no limit.
    pace_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Settings:
    """An agent's settings."""

    site: str
    edge_node: str
    drivers: tuple[DriverSettings, ...]
    data_dir: Path = Path(".headrace")
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 1883
    broker_user: str = ""
    broker_password: str = field(default="", repr=False)
    # Batches without acknowledgement above which a source that can wait does.
    max_unacknowledged: int = 2048
    spool_max_bytes: int = 1 << 30
    health_interval_s: float = 10.0

    @property
    def spool_path(self) -> Path:
        """The spool's file."""
        return self.data_dir / "edge" / self.site / f"{self.edge_node}.spool"

    def shown(self) -> dict[str, str]:
        """Return the settings for the log, secrets redacted."""
        return {
            f.name: "***" if "password" in f.name and getattr(self, f.name) else str(
                getattr(self, f.name)
            )
            for f in fields(self)
            if f.name != "drivers"
        }  # fmt: skip


_OPTIONAL: Final[Mapping[str, tuple[type[float], ...]]] = {
    "max_unacknowledged": (int,),
    "spool_max_bytes": (int,),
    "health_interval_s": (int, float),
}


def read(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read a gateway file.

    Raises:
        SettingsError: it cannot be read, or a field is missing, unknown or wrong.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    unknown = set(document) - {"site", "edge_node", "drivers", *_OPTIONAL}
    if unknown:
        raise SettingsError(f"{path}: {min(unknown)}: no such field")
    try:
        site = check_name("site", str(document.get("site", "")))
        edge_node = check_name("edge_node", str(document.get("edge_node", "")))
    except TopicNameError as error:
        raise SettingsError(f"{path}: {error}") from error
    tables = document.get("drivers", [])
    if not isinstance(tables, list) or not tables:
        raise SettingsError(f"{path}: drivers: at least one [[drivers]] table is needed")
    optional: dict[str, Any] = {}
    for name, kinds in _OPTIONAL.items():
        if name in document:
            value = document[name]
            if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < inf:
                raise SettingsError(f"{path}: {name}: {value!r} is not a positive number")
            optional[name] = value
    env = os.environ if environment is None else environment
    port = env.get("HEADRACE_MQTT_PORT", "1883")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise SettingsError(f"HEADRACE_MQTT_PORT: {port!r} is no port")
    return Settings(
        site=site,
        edge_node=edge_node,
        drivers=tuple(_driver(path, place, table) for place, table in enumerate(tables)),
        data_dir=Path(env.get("HEADRACE_DATA_DIR", ".headrace")),
        mqtt_host=env.get("HEADRACE_MQTT_HOST", "127.0.0.1"),
        mqtt_port=int(port),
        broker_user=env.get("HEADRACE_BROKER_USER", ""),
        broker_password=env.get("HEADRACE_BROKER_PASSWORD", ""),
        **optional,
    )


def _driver(path: Path, place: int, table: Any) -> DriverSettings:
    where = f"{path}: drivers[{place}]"
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: not a table")
    unknown = set(table) - {"kind", "factory", "pace_hz", "options"}
    if unknown:
        raise SettingsError(f"{where}.{min(unknown)}: no such field")
    kind, factory = table.get("kind", ""), table.get("factory", "")
    if kind not in {"plugin", "recording"}:
        raise SettingsError(f"{where}.kind: {kind!r} is neither `plugin` nor `recording`")
    if (kind == "plugin") != bool(factory) or not isinstance(factory, str):
        raise SettingsError(f"{where}.factory: a plug-in needs one, nothing else has one")
    pace = table.get("pace_hz", 0.0)
    if not isinstance(pace, int | float) or isinstance(pace, bool) or not 0 <= pace < inf:
        raise SettingsError(f"{where}.pace_hz: {pace!r} is not a number of blocks a second")
    options = table.get("options", {})
    if not isinstance(options, dict):
        raise SettingsError(f"{where}.options: not a table")
    return DriverSettings(kind, options, factory, float(pace))
