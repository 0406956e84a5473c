"""What the agent does for the fleet while the node runs, each a task that never ends by itself."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from edge_agent import logs
from edge_agent.commands import CHECK_UPDATES, LOG_LEVEL, RESTART
from edge_agent.fleet import child, identity
from edge_agent.fleet.report import Reporter, report_topic
from edge_agent.fleet.status import Known, LastCheck, Status
from edge_agent.fleet.watchdog import Watchdog
from edge_agent.inference.model_store import ModelStore
from edge_agent.node import EdgeNode
from edge_agent.updates import configuration, schedule
from edge_agent.updates.configuration import ConfigurationTrial, Effective
from edge_agent.updates.store import Store

if TYPE_CHECKING:
    from edge_agent.fleet.web import StatusServer

log = structlog.get_logger(__name__)

SETTLE_S: Final = 1.0
RENEWAL_TIMEOUT_S: Final = 120.0
# Before a task that failed begins again.
AGAIN_S: Final = 30.0


class Fleet:
    """The gateway's side of the fleet around one node."""

    def __init__(
        self,
        effective: Effective,
        gateway: Path,
        node: EdgeNode,
        models: ModelStore,
        restart: Callable[[str], None],
    ) -> None:
        """Prepare; `restart` ends the agent in good order so that it is started again.

        `gateway` is the local gateway file, also when a managed configuration counts.
        """
        self._effective, self._gateway = effective, gateway
        self._node, self._models, self._restart = node, models, restart
        self._settings = effective.settings
        self._table = effective.settings.gateway.updates
        self.status = Status(effective, node, models, Known())
        self._check_now = asyncio.Event()
        self._level_set = asyncio.Event()
        node.obey(self.commands)

    @property
    def commands(self) -> Mapping[str, Callable[[Any], None]]:
        """What an NCMD may ask for, by the metric's name; each takes the metric's value."""
        return {
            LOG_LEVEL: self.set_log_level,
            RESTART: self.restart,
            CHECK_UPDATES: self.check_updates,
        }

    def set_log_level(self, name: object) -> None:
        """Log from a level on, until `log_level_s` have passed.

        Raises:
            ValueError: there is no such level.
        """
        level = str(name).lower()
        logs.set_level(level)
        self.status.known.log_level = level
        self._level_set.set()
        log.warning("log level set from afar", level=level)

    def restart(self, wanted: object) -> None:
        """End in good order and be started again."""
        if wanted:
            self._restart("asked for from afar")

    def check_updates(self, wanted: object) -> None:
        """Check for updates now."""
        if wanted:
            self._check_now.set()

    async def run(self) -> None:
        """Run until cancelled."""
        server = self._serve()
        watchdog = Watchdog()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(watchdog.run())
                for task in (self._settle_trials, self._end_log_level, self._report):
                    group.create_task(_kept_up(task))
                if self._table.server:
                    for task in (self._check_for_updates, self._renew):
                        group.create_task(_kept_up(task))
        finally:
            watchdog.tell("STOPPING=1")
            if server is not None:
                server.close()

    def _serve(self) -> StatusServer | None:
        table = self._settings.gateway.status
        if not table.port:
            return None
        from edge_agent.fleet.web import StatusServer

        try:
            return StatusServer(table.host, table.port, table.metrics, self.status.document)
        except OSError as error:
            log.error("no status page", host=table.host, port=table.port, reason=str(error))
            return None

    async def _check_for_updates(self) -> None:
        first = True
        while True:
            pause = schedule.pause_s(self._table.check_interval_s, first)
            try:
                async with asyncio.timeout(pause):
                    await self._check_now.wait()
            except TimeoutError:
                pass
            self._check_now.clear()
            first = False
            outcome = await schedule.check(self._gateway)
            self.status.known.last_check = LastCheck(time.time_ns() // 1_000_000, outcome)
            if outcome.clock_skew_s is not None:
                self.status.known.clock_skew_s = outcome.clock_skew_s
            if outcome.result != "good":
                log.warning("no updates", result=outcome.result, reason=outcome.reason)
            for finding in outcome.findings:
                log.info(
                    "update",
                    kind=finding.kind,
                    subject=finding.subject,
                    version=finding.version,
                    what=finding.what,
                    reason=finding.reason,
                )
            self._models.refresh()
            await self._node.models_changed(self._models.changed())
            if self._configuration_changed():
                self._restart("another configuration counts")

    def _configuration_changed(self) -> bool:
        """Say whether the next start would take another configuration than this one did."""
        name = self._table.configuration
        if not name:
            return False
        slot = Store(configuration.folder_of(self._settings)).manifest().slot("configuration", name)
        wanted = slot.trial or slot.current
        used = self._effective.artefact
        return (wanted.digest if wanted else "") != (used.digest if used else "")

    async def _settle_trials(self) -> None:
        """Follow the trials of models, and of the configuration that this agent began with."""
        trial = (
            ConfigurationTrial(
                self._table.configuration_trial_s, self._table.configuration_patience_s
            )
            if self._effective.on_trial
            else None
        )
        while True:
            await asyncio.sleep(SETTLE_S)
            self._models.settle()
            await self._node.models_changed(self._models.changed())
            if trial is not None and self._settled(trial):
                trial = None

    def _settled(self, trial: ConfigurationTrial) -> bool:
        counts = self._node.counts()
        verdict = trial.verdict(
            time.monotonic(),
            self._node.born,
            counts["sent"],
            counts["depth"],
            counts["acknowledged"],
        )
        if verdict is None:
            return False
        store, name = Store(configuration.folder_of(self._settings)), self._table.configuration
        if verdict:
            configuration.drop(store, name, verdict)
            self._restart(f"configuration dropped: {verdict}")
        else:
            configuration.keep(store, name)
            log.info("configuration stays", configuration=name)
        return True

    async def _report(self) -> None:
        """Report as often as is set, and when something changed; not while the broker is away."""
        reporter = Reporter(self.status)
        where = report_topic(self._settings.site, self._settings.edge_node)
        said: tuple[object, ...] = ()
        due_s = 0.0
        while True:
            changing = reporter.changing()
            if self._node.born and (changing != said or time.monotonic() >= due_s):
                report = reporter.report(time.time_ns() // 1_000_000)
                if await self._node.say(where, report.SerializeToString()):
                    said = changing
                    due_s = time.monotonic() + self._settings.gateway.fleet.report_interval_s
            await asyncio.sleep(SETTLE_S)

    async def _renew(self) -> None:
        """Renew the certificate when two thirds of its time have passed."""
        while True:
            validity = identity.of(self._settings).read_validity()
            if validity is not None and time.time() >= validity.renewal_s:
                try:
                    code, _ = await child.run(
                        "edge_agent.fleet", "renew", "--server", self._table.server,
                        str(self._gateway), timeout_s=RENEWAL_TIMEOUT_S,
                    )  # fmt: skip
                except (child.ChildError, OSError) as error:
                    log.error("certificate not renewed", reason=str(error))
                else:
                    if code == 0:
                        log.info("certificate renewed")
                        self._node.reconnect()
                    else:
                        log.error("certificate not renewed", reason=f"exit code {code}")
            pause = self._settings.gateway.fleet.renewal_check_s
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))

    async def _end_log_level(self) -> None:
        """Go back to the usual level some time after another was set."""
        while True:
            await self._level_set.wait()
            self._level_set.clear()
            try:
                async with asyncio.timeout(self._settings.gateway.fleet.log_level_s):
                    await self._level_set.wait()
            except TimeoutError:
                logs.set_level(logs.USUAL)
                self.status.known.log_level = logs.USUAL
                log.info("log level is the usual again", level=logs.USUAL)


async def _kept_up(task: Callable[[], Awaitable[None]]) -> None:
    """Run a task until cancelled; one that fails says so and begins again, beside the others."""
    while True:
        try:
            await task()
        except Exception as error:
            # What fails here must cost neither the others nor the watchdog.
            name = getattr(task, "__name__", "").lstrip("_")
            log.error("fleet task failed", task=name, reason=str(error), exc_info=error)
        await asyncio.sleep(AGAIN_S)
