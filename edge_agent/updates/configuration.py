"""A managed configuration: it lies beside the local gateway file and never replaces it on disk.

Who the gateway is, where its broker is, and where its updates come from stay the local file's: a
configuration for a group of gateways cannot know them, and a bad one must not cut the way back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog

from edge_agent import drivers, settings
from edge_agent.drivers import OptionsError
from edge_agent.settings import Settings, SettingsError
from edge_agent.updates.store import CONFIGURATION, Artefact, Store, sound

log = structlog.get_logger(__name__)

# What a managed configuration cannot change.
LOCAL: Final = ("site", "edge_node", "broker", "updates", "fleet", "status")
# Starts that a configuration on trial may end badly.
STARTS: Final = 2


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings that count; `artefact` is the managed configuration, None when it is local."""

    settings: Settings
    artefact: Artefact | None = None
    on_trial: bool = False


def folder_of(given: Settings) -> Path:
    """Return the folder of the agent's updates, beside its spool."""
    return given.spool_path.with_suffix(".updates")


def merged(local: Mapping[str, Any], managed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a managed document with what stays the local one's."""
    own = {name: local[name] for name in LOCAL if name in local}
    return {**{name: part for name, part in managed.items() if name not in LOCAL}, **own}


def problem_of(local: Path, managed: Path) -> str:
    """Return what is wrong with a managed configuration on this gateway; empty when it is good."""
    try:
        gateway = settings.gateway_of(merged(settings.parse(local), settings.parse(managed)))
        for table in gateway.drivers:
            drivers.open_driver(*table.chosen)
    except (SettingsError, OptionsError) as error:
        # Its place in the store says nothing to who reads the reason.
        return str(error).removeprefix(f"{managed}: ")
    return ""


def effective(local: Path, environment: Mapping[str, str] | None = None) -> Effective:
    """Return the settings to start with: on trial, else managed, else the local file's.

    A trial that ended badly before, or cannot be read, is dropped here and never raises.

    Raises:
        SettingsError: the local file or the environment is wrong.
    """
    own = settings.read(local, environment)
    name = own.gateway.updates.configuration
    if not (own.gateway.updates.server and name):
        return Effective(own)
    store = Store(folder_of(own))
    artefact = _begun(store, name)
    if artefact is not None:
        try:
            return Effective(_with(own, local, store.path(artefact, CONFIGURATION)), artefact, True)
        except (SettingsError, RuntimeError) as error:
            drop(store, name, str(error))
    for kept, files in sound(store, store.manifest().slot("configuration", name)):
        try:
            return Effective(_with(own, local, files[CONFIGURATION]), kept)
        except SettingsError as error:
            log.error("a managed configuration cannot be used", reason=str(error))
    return Effective(own)


def keep(store: Store, name: str) -> None:
    """Let a configuration on trial count from now on."""
    with store.changing() as change:
        slot = change.manifest.slot("configuration", name)
        if slot.trial is not None:
            change.put("configuration", name, slot.kept(_now_ms()))


def drop(store: Store, name: str, reason: str) -> None:
    """End the trial of a configuration; the one before counts at the next start."""
    log.error("configuration on trial was dropped", configuration=name, reason=reason)
    try:
        with store.changing() as change:
            slot = change.manifest.slot("configuration", name)
            if slot.trial is not None:
                change.put("configuration", name, slot.dropped(reason, _now_ms()))
    except OSError as error:
        log.error("the manifest cannot be written", reason=str(error))


def forgive(store: Store, name: str) -> None:
    """Take back the count of a start that was ended on purpose, not by the configuration."""
    _count(store, name, -1)


def _begun(store: Store, name: str) -> Artefact | None:
    """Count a start of the configuration on trial; None when there is none to start with."""
    slot = store.manifest().slot("configuration", name)
    if slot.trial is None:
        return None
    if slot.starts >= STARTS:
        drop(store, name, f"the agent ended badly {slot.starts} times with it")
        return None
    # A start that cannot be counted could go on for ever.
    return slot.trial if _count(store, name, +1) else None


def _count(store: Store, name: str, step: int) -> bool:
    try:
        with store.changing() as change:
            slot = change.manifest.slot("configuration", name)
            if slot.trial is None:
                return False
            change.put("configuration", name, slot.started(step))
    except OSError as error:
        log.error("the manifest cannot be written", reason=str(error))
        return False
    return True


def _with(own: Settings, local: Path, managed: Path) -> Settings:
    document = merged(settings.parse(local), settings.parse(managed))
    return replace(own, gateway=settings.gateway_of(document))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class ConfigurationTrial:
    """Decides from what the node does whether a new configuration stays.

    It stays after `well_s` seconds in a row with a session, something read, and the spool either
    empty or acknowledged from. It goes after `patience_s` seconds with a session without that:
    what the broker is away is not its fault, as it cannot change the broker.
    """

    def __init__(self, well_s: float, patience_s: float) -> None:
        self._well_s, self._patience_s = well_s, patience_s
        self._last_s: float | None = None
        self._connected_s = 0.0
        self._well_since_s: float | None = None
        self._acknowledged = 0
        self._moved_s = 0.0

    def verdict(
        self, now_s: float, born: bool, read: int, depth: int, acknowledged: int
    ) -> str | None:
        """Return "" to keep it, a reason to drop it, None while it is open.

        `now_s` is a monotonic clock; `read` and `acknowledged` count batches since the start,
        `depth` those that wait.
        """
        step_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        if acknowledged > self._acknowledged:
            self._acknowledged, self._moved_s = acknowledged, now_s
        moving = acknowledged > 0 and now_s - self._moved_s < self._well_s
        if not born:
            self._well_since_s = None
            return None
        self._connected_s += step_s
        if read and (depth == 0 or moving):
            if self._well_since_s is None:
                self._well_since_s = now_s
            if now_s - self._well_since_s >= self._well_s:
                return ""
        else:
            self._well_since_s = None
        if self._connected_s >= self._patience_s:
            what = "nothing was read" if not read else f"{depth} batches wait"
            return f"{what} after {self._connected_s:.0f} s with the broker"
        return None
