"""What the agent knows of itself, as one document: for the page, for JSON, for metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edge_agent import logs
from edge_agent.fleet import identity
from edge_agent.fleet.vitals import Vitals, VitalSigns
from edge_agent.inference.model_store import ModelState, ModelStore
from edge_agent.node import EdgeNode
from edge_agent.settings import Settings
from edge_agent.updates.configuration import Effective, folder_of
from edge_agent.updates.job import Outcome
from edge_agent.updates.store import Slot, Store


@dataclass(frozen=True, slots=True)
class LastCheck:
    """The newest check for updates, and when it ended in milliseconds since the epoch."""

    at_ms: int
    outcome: Outcome


@dataclass(slots=True)
class Known:
    """What the fleet's tasks find out as time goes."""

    last_check: LastCheck | None = None
    clock_skew_s: float | None = None
    log_level: str = logs.USUAL


class Status:
    """Puts the document together from those who know."""

    def __init__(
        self, effective: Effective, node: EdgeNode, models: ModelStore, known: Known
    ) -> None:
        self._effective, self._node, self._models = effective, node, models
        self.known = known
        self._signs = VitalSigns(self.settings.data_dir)
        self._version = agent_version()

    @property
    def node(self) -> EdgeNode:
        """The node that the status is of."""
        return self._node

    @property
    def effective(self) -> Effective:
        """Where the settings come from."""
        return self._effective

    @property
    def settings(self) -> Settings:
        """The settings that count."""
        return self._effective.settings

    def vitals(self) -> Vitals:
        """Read how the gateway is."""
        return self._signs.read()

    def models(self) -> list[ModelState]:
        """Return what every equipment class is scored by."""
        return self._models.states()

    def configuration(self) -> Slot:
        """Return what the gateway has of its managed configuration."""
        name = self.settings.gateway.updates.configuration
        return Store(folder_of(self.settings)).manifest().slot("configuration", name)

    def document(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        settings, node, known = self.settings, self._node, self.known
        broker, updates = settings.gateway.broker, settings.gateway.updates
        counts = node.counts()
        last = known.last_check
        states = self.models()
        return {
            "site": settings.site,
            "edge_node": settings.edge_node,
            "version": self._version,
            "time": _iso(time.time()),
            "broker": {
                "connected": node.born,
                "host": settings.mqtt_host,
                "port": settings.mqtt_port,
                "tls": bool(broker.ca),
            },
            "spool": {
                **{k: counts[k] for k in ("depth", "sent", "acknowledged", "resent", "dropped")},
                "in_flight": node.in_flight,
                "bytes": node.spool_bytes,
                "max_bytes": settings.gateway.spool.max_bytes,
            },
            "scored": counts["scored"],
            "devices": self._devices(),
            "models": [_model(state) for state in states],
            "configuration": self._configuration(),
            "certificate": self._certificate(),
            "updates": {
                "server": updates.server,
                "group": updates.group,
                "last_check": None
                if last is None
                else {
                    "time": _iso(last.at_ms / 1000),
                    "result": last.outcome.result,
                    "reason": last.outcome.reason,
                },
            },
            "clock_skew_s": known.clock_skew_s,
            "vitals": asdict(self.vitals()),
            "log_level": known.log_level,
            "troubles": logs.troubles(),
        }

    def _devices(self) -> list[dict[str, Any]]:
        now_ms = time.time() * 1000
        found = []
        for tag, device in self._node.devices().items():
            seen = self._node.seen[tag]
            found.append(
                {
                    "tag": tag,
                    "equipment_class": device.equipment_class,
                    "model": self._node.model_of(tag),
                    "score": seen.score,
                    "age_s": (now_ms - seen.block_ms) / 1000 if seen.block_ms else None,
                    "lost": seen.lost,
                }
            )
        return found

    def _configuration(self) -> dict[str, Any]:
        artefact, slot = self._effective.artefact, self.configuration()
        return {
            "name": self.settings.gateway.updates.configuration,
            "version": artefact.version if artefact else "",
            "rollout": artefact.rollout if artefact else "",
            "on_trial": self._effective.on_trial,
            "refused": _refused(slot),
        }

    def _certificate(self) -> Mapping[str, Any] | None:
        validity = identity.of(self.settings).read_validity()
        if validity is None:
            return None
        return {
            "not_before": _iso(validity.not_before_s),
            "not_after": _iso(validity.not_after_s),
            "days_left": (validity.not_after_s - time.time()) / 86400,
            "serial": validity.serial,
        }


def agent_version() -> str:
    """Return the version of the installed package."""
    try:
        return version("headrace")
    except PackageNotFoundError:
        return "unknown"


def _model(state: ModelState) -> dict[str, Any]:
    seen, wanted = state.windows
    return {
        "equipment_class": state.equipment_class,
        "devices": list(state.devices),
        "version": state.version,
        "source": state.source,
        "windows": state.tally.windows,
        "since": _iso(state.since_ms / 1000) if state.since_ms else None,
        "rollout": state.rollout,
        "trial": {"version": state.trial.version, "windows": seen, "of": wanted}
        if state.trial
        else None,
        "verdict": asdict(state.verdict) if state.verdict else None,
        "refused": _refused(state.slot),
    }


def _refused(slot: Slot) -> dict[str, Any] | None:
    if slot.refused is None:
        return None
    return {
        "version": slot.refused.version,
        "rollout": slot.refused.rollout,
        "reason": slot.refused.reason,
        "time": _iso(slot.refused.at_ms / 1000),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
