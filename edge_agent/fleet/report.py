"""The report of a gateway, as docs/contracts.md has it."""

from __future__ import annotations

import os
import platform
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from edge_agent import logs
from edge_agent.fleet import identity
from edge_agent.fleet.status import Status, agent_version
from edge_agent.inference.model_store import ModelState
from edge_agent.updates.store import CONFIGURATION, MODEL, Artefact
from edge_agent.updates.tally import Tally
from edge_agent.v1 import report_pb2 as pb

OS_RELEASE: Final = Path("/etc/os-release")
RUNTIMES: Final = ("ai-edge-litert", "tflite-runtime")


def report_topic(site: str, edge_node: str) -> str:
    """Return where a gateway's reports go."""
    return f"headrace/report/{site}/{edge_node}"


class Reporter:
    """Makes the reports of one agent; what never changes is found out once."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._fixed = pb.GatewayReport(
            agent_version=agent_version(),
            python_version=platform.python_version(),
            operating_system=operating_system(),
            runtime_version=runtime_version(),
        )

    def report(self, now_ms: int) -> pb.GatewayReport:
        """Return the report of this moment, `now_ms` by the wall clock."""
        status, node = self._status, self._status.node
        settings, known, vitals = status.settings, status.known, status.vitals()
        counts = node.counts()
        report = pb.GatewayReport(
            site=settings.site,
            edge_node=settings.edge_node,
            boot_epoch=node.boot_epoch,
            report_time=_time(now_ms),
            report_interval_s=settings.gateway.fleet.report_interval_s,
            group=settings.gateway.updates.group,
            uptime_s=vitals.uptime_s,
            disk_free_bytes=vitals.disk_free_bytes,
            disk_bytes=vitals.disk_bytes,
            temperature_deg_c=vitals.temperature_c,
            memory_bytes=vitals.memory_bytes,
            cpu_share=vitals.cpu,
            spool_batches=counts["depth"],
            spool_bytes=node.spool_bytes,
            spool_max_bytes=settings.gateway.spool.max_bytes,
            spool_dropped=counts["dropped"],
            log_level=known.log_level,
        )
        report.MergeFrom(self._fixed)
        if known.clock_skew_s is not None:
            report.clock_offset_ms = known.clock_skew_s * 1000
            report.clock_source = "http_date"
        for state in status.models():
            report.models.extend(_models(state))
        name = settings.gateway.updates.configuration
        if name:
            report.configurations.extend(_configurations(name, status))
        if known.last_check is not None:
            outcome = known.last_check.outcome
            report.update_check.check_time.CopyFrom(_time(known.last_check.at_ms))
            report.update_check.result, report.update_check.reason = outcome.result, outcome.reason
        validity = identity.of(settings).read_validity()
        if validity is not None:
            report.certificate_serial = validity.serial
            report.certificate_expire_time.CopyFrom(_time(int(validity.not_after_s * 1000)))
        _add_error(report)
        return report

    def changing(self) -> tuple[object, ...]:
        """Return what is told at once when it is another than before."""
        known = self._status.known
        return (
            self._status.node.births,
            known.log_level,
            known.last_check and known.last_check.outcome.result,
            *(
                (s.equipment_class, s.sha256, s.version, s.rollout, s.trial, s.slot.refused)
                for s in self._status.models()
            ),
            self._status.configuration(),
        )


def _models(state: ModelState) -> list[pb.ModelReport]:
    """Return what counts, what is on trial and what was refused, of one equipment class."""
    found = []
    if state.source:
        running = pb.ModelReport(
            equipment_class=state.equipment_class,
            name=state.name,
            version=state.version,
            sha256=state.sha256,
            since_time=_time(state.since_ms) if state.since_ms else None,
            state=pb.INSTALLATION_STATE_RUNNING,
            rollout=state.rollout,
        )
        _add_tally(running, state.tally)
        running.crashes += state.slot.deaths if state.source == "current" else 0
        found.append(running)
    if state.trial is not None:
        trial = pb.ModelReport(
            equipment_class=state.equipment_class,
            name=state.name,
            version=state.trial.version,
            sha256=state.trial.files[MODEL],
            since_time=_time(state.trial.since_ms),
            state=pb.INSTALLATION_STATE_TRIAL,
            rollout=state.trial.rollout,
        )
        if state.trial_tally is not None:
            _add_tally(trial, state.trial_tally)
        trial.crashes += state.slot.starts
        found.append(trial)
    refused = state.slot.refused
    if refused is not None:
        found.append(
            pb.ModelReport(
                equipment_class=state.equipment_class,
                version=refused.version,
                since_time=_time(refused.at_ms),
                state=pb.INSTALLATION_STATE_REVERTED,
                rollout=refused.rollout,
                reason=refused.reason,
            )
        )
    return found


def _add_tally(report: pb.ModelReport, tally: Tally) -> None:
    report.windows, report.crashes = tally.windows, tally.errors
    quantiles = tally.quantiles()
    if quantiles is not None:
        report.score_p50, report.score_p95 = quantiles.score_p50, quantiles.score_p95
        report.score_p99 = quantiles.score_p99
        report.latency_p50_us = quantiles.latency_p50_us
        report.latency_p99_us = quantiles.latency_p99_us


def _configurations(name: str, status: Status) -> list[pb.ConfigurationReport]:
    used = status.effective.artefact
    slot = status.configuration()
    found = []
    if slot.trial is not None:
        found.append(_configuration(name, slot.trial, pb.INSTALLATION_STATE_TRIAL))
    tried = {a.digest for a in (slot.trial, slot.refused) if a is not None}
    if used is not None and used.digest not in tried:
        found.append(_configuration(name, used, pb.INSTALLATION_STATE_RUNNING))
    if slot.refused is not None:
        found.append(
            pb.ConfigurationReport(
                name=name,
                version=slot.refused.version,
                since_time=_time(slot.refused.at_ms),
                state=pb.INSTALLATION_STATE_REVERTED,
                rollout=slot.refused.rollout,
                reason=slot.refused.reason,
            )
        )
    return found


def _configuration(
    name: str, artefact: Artefact, state: pb.InstallationState.ValueType
) -> pb.ConfigurationReport:
    return pb.ConfigurationReport(
        name=name,
        version=artefact.version,
        sha256=artefact.files[CONFIGURATION],
        since_time=_time(artefact.since_ms),
        state=state,
        rollout=artefact.rollout,
    )


def _add_error(report: pb.GatewayReport) -> None:
    newest = next((t for t in logs.troubles() if t["level"] != "warning"), None)
    if newest is None:
        return
    said = f"{newest['event']}: {newest['reason']}" if newest["reason"] else newest["event"]
    report.last_error = said.replace("\n", " ")[:500]
    report.last_error_time.FromDatetime(datetime.fromisoformat(newest["time"]))


def operating_system() -> str:
    """Return name and version of the system and the kind of machine."""
    lines = OS_RELEASE.read_text(encoding="utf-8").splitlines() if OS_RELEASE.exists() else []
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return f"{names[0] if names else sys.platform}, {os.uname().machine}"


def runtime_version() -> str:
    """Return name and version of the TFLite runtime, empty without one."""
    for name in RUNTIMES:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return ""


def _time(milliseconds: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(milliseconds)
    return time
