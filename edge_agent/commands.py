"""Commands from afar: each carried out once, within the limits, and on record."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import structlog

from edge_agent.drivers.base import WriteError
from edge_agent.journal import Answer, Entry, Journal
from edge_agent.sparkplug.commands import Command
from edge_agent.sparkplug.payloads import REBIRTH
from edge_agent.v1 import report_pb2
from edge_agent.v1 import sparkplug_b_pb2 as pb
from edge_agent.writes import RefusedError, Scalar, Writes

log = structlog.get_logger(__name__)

LOG_LEVEL: Final = "Node Control/Log Level"
RESTART: Final = "Node Control/Restart"
CHECK_UPDATES: Final = "Node Control/Check Updates"
CONTROLS: Final[Mapping[str, int]] = {
    LOG_LEVEL: pb.DATA_TYPE_STRING,
    RESTART: pb.DATA_TYPE_BOOLEAN,
    CHECK_UPDATES: pb.DATA_TYPE_BOOLEAN,
}
# Commands that wait for those before them; a device may take its time.
MAX_WAITING: Final = 64
# Answers that the broker has not taken.
MAX_UNSAID: Final = 256

DONE, REFUSED, FAILED = (
    report_pb2.OUTCOME_DONE,
    report_pb2.OUTCOME_REFUSED,
    report_pb2.OUTCOME_FAILED,
)
# Publishes an answer; False when the broker did not take it.
Say = Callable[[bytes], Awaitable[bool]]
# Hears of a device and a point of it that was written to.
Wrote = Callable[[str, str], Awaitable[None]]
Control = Callable[[Any], None]


async def _to_nobody(_: bytes) -> bool:
    return False


async def _unseen(_device: str, _name: str) -> None:
    """Tell nobody."""


class Commands:
    """What may be asked of a gateway: its controls, and writes to its devices."""

    def __init__(
        self,
        site: str,
        edge_node: str,
        max_age_s: float,
        journal: Journal,
        writes: Writes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; `clock` tells seconds since the epoch, UTC, against which commands age."""
        self._site, self._edge_node, self._max_age_s = site, edge_node, max_age_s
        self._journal, self.writes, self._clock = journal, writes, clock
        self._controls: dict[str, Control] = {}
        self._waiting: asyncio.Queue[tuple[str, Command]] = asyncio.Queue(MAX_WAITING)
        self._unsaid: deque[bytes] = deque(maxlen=MAX_UNSAID)
        self._saying = asyncio.Lock()
        self._restart: Callable[[], None] | None = None
        self.say: Say = _to_nobody
        self.wrote: Wrote = _unseen

    def knows(self, command: Command) -> bool:
        """Return whether a command of its id was taken before."""
        return bool(command.id) and self._journal.find(command.id) is not None

    @property
    def controls(self) -> Mapping[str, int]:
        """The controls that are served, with their datatypes, for the birth."""
        return {name: CONTROLS[name] for name in self._controls}

    def obey(self, controls: Mapping[str, Control]) -> None:
        """Serve controls of `CONTROLS`; each takes the value, a ValueError refuses it."""
        self._controls |= controls

    def take(self, device: str, command: Command, retained: bool = False) -> None:
        """Take a command; `device` is empty for one to the agent itself."""
        if not command.values:
            return
        if retained:
            # A broker hands it out at every connection: it is no wish of now.
            log.warning("command refused", reason="it was retained", id=command.id, device=device)
            return
        try:
            self._waiting.put_nowait((device, command))
        except asyncio.QueueFull:
            for name, _ in command.values:
                self._tell(
                    command, self._answer_of(device, name, REFUSED, "too many commands wait")
                )

    async def run(self) -> None:
        """Carry commands out, one after another, until cancelled."""
        while True:
            device, command = await self._waiting.get()
            await self._carry_out(device, command)
            await self.flush()
            if self._restart is not None:
                restart, self._restart = self._restart, None
                restart()

    async def flush(self) -> None:
        """Publish the answers that nobody got yet."""
        async with self._saying:
            while self._unsaid and await self.say(first := self._unsaid[0]):
                # Newer ones may have pushed it out meanwhile.
                if self._unsaid[0] is first:
                    self._unsaid.popleft()

    async def _carry_out(self, device: str, command: Command) -> None:
        known = self._journal.find(command.id) if command.id else None
        if known is not None:
            log.info("command came again", audit=True, id=command.id, device=device)
            for answer in known.answers:
                self._answer(command, answer)
            for name, _ in command.values:
                if not any(a.metric == name for a in known.answers):
                    reason = "the agent ended meanwhile; whether it was carried out is not known"
                    self._answer(command, self._answer_of(device, name, FAILED, reason))
            return
        answers: list[Answer] = []
        stale = self._stale(command)
        if command.id and not stale:
            try:
                await asyncio.to_thread(self._journal.write, Entry(id=command.id))
            except OSError as error:
                stale = f"it cannot be remembered: {error}"
        for name, value in command.values:
            if stale:
                answer = self._answer_of(device, name, REFUSED, stale)
            elif device:
                answer = await self._write(device, name, value, command.confirmed_by)
            else:
                answer = self._control(name, value)
            answers.append(answer)
            self._tell(command, answer)
        if command.id and not stale:
            try:
                await asyncio.to_thread(self._journal.write, Entry(id=command.id, answers=answers))
            except OSError as error:
                log.error("answer cannot be remembered", id=command.id, reason=str(error))

    def _stale(self, command: Command) -> str:
        """Say why a command is not of now; empty when it is."""
        if not command.time_ms:
            return "it does not say when it was sent"
        age_s = self._clock() - command.time_ms / 1000
        if abs(age_s) > self._max_age_s:
            when = f"{abs(age_s):.0f} s {'ago' if age_s > 0 else 'ahead'}"
            return f"it was sent {when} by this gateway's clock, {self._max_age_s:g} s at most"
        return ""

    async def _write(self, device: str, name: str, value: Scalar, confirmed_by: str) -> Answer:
        try:
            written = await self.writes.write(device, name, value, confirmed_by)
        except RefusedError as error:
            return self._answer_of(device, name, REFUSED, str(error))
        except WriteError as error:
            return self._answer_of(device, name, FAILED, str(error))
        except Exception as error:
            # A driver's fault must not end the commands to the others.
            log.exception("write failed", device=device, name=name)
            return self._answer_of(device, name, FAILED, f"{type(error).__name__}: {error}")
        await self.wrote(device, name)
        return self._answer_of(device, name, DONE, value=written)

    def _control(self, name: str, value: Scalar) -> Answer:
        if name == REBIRTH:
            # The session has done it already.
            return self._answer_of("", name, DONE, value=value)
        control = self._controls.get(name)
        if control is None:
            return self._answer_of("", name, REFUSED, "there is no such control")
        if name == RESTART:
            # After its answer: nobody is left to give one then.
            self._restart = partial(control, value)
        else:
            try:
                control(value)
            except ValueError as error:
                return self._answer_of("", name, REFUSED, str(error))
            except Exception as error:
                log.exception("control failed", name=name)
                return self._answer_of("", name, FAILED, f"{type(error).__name__}: {error}")
        return self._answer_of("", name, DONE, value=value)

    def _tell(self, command: Command, answer: Answer) -> None:
        log.info(
            "command",
            audit=True,
            id=command.id,
            device=answer.device,
            metric=answer.metric,
            outcome=report_pb2.Outcome.Name(report_pb2.Outcome.ValueType(answer.outcome)),
            value=answer.value,
            reason=answer.reason,
            requested_by=command.requested_by,
            confirmed_by=command.confirmed_by,
        )
        self._answer(command, answer)

    def _answer(self, command: Command, answer: Answer) -> None:
        if not command.id:
            return
        message = report_pb2.CommandOutcome(
            command_id=command.id,
            site=self._site,
            edge_node=self._edge_node,
            device=answer.device,
            metric=answer.metric,
            outcome=report_pb2.Outcome.ValueType(answer.outcome),
            reason=answer.reason,
            requested_by=command.requested_by,
            confirmed_by=command.confirmed_by,
        )
        message.outcome_time.FromMilliseconds(answer.time_ms)
        match answer.value:
            case bool():
                message.boolean = answer.value
            case int() | float():
                message.number = answer.value
            case str():
                message.text = answer.value
        self._unsaid.append(message.SerializeToString())

    def _answer_of(
        self,
        device: str,
        name: str,
        outcome: report_pb2.Outcome.ValueType,
        reason: str = "",
        value: Scalar | None = None,
    ) -> Answer:
        return Answer(
            device=device,
            metric=name,
            outcome=outcome,
            reason=reason,
            value=value,
            time_ms=round(self._clock() * 1000),
        )
