"""The plant as a driver of the edge agent."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from edge_agent.drivers.base import Block, Clock, Device
from firmware_sim.faults import Label
from firmware_sim.physics.hour import SECONDS
from firmware_sim.plant import Plant
from firmware_sim.scenarios import DAY_S, HOUR_S, SCENARIOS, Scenario

# Event time at which simulations start: a Monday, the morning shift.
DEFAULT_START_MS = int(datetime(2026, 1, 5, 6, tzinfo=UTC).timestamp() * 1000)
LIVE_FAULT_DELAY_S = 15.0

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class DriverOptions:
    """What a run of the plant can be told.

    Args:
        scenario: a name of `SCENARIOS`.
        seed: of all chance.
        speed: event seconds a second; infinite for as fast as the flow takes it.
        start_ms: event time of the start, after any history; the present when None and `speed` is
            1, else Monday 2026-01-05 06:00 UTC.
        days: how long it lasts from the start; None for the scenario's duration, or for ever when
            it is live.
        history_hours: healthy hours before the start, yielded as fast as the flow takes them.
        history_interval_s: seconds between two vibration blocks of the history.
        fault_delay_s: from the start to the fault's onset; None for the scenario's warm-up, or
            15 s when it is live. A live onset counts from when the history was taken, so that it is
            ahead of those who watch.
        growth_s: of the fault; None for the scenario's, or a minute when it is live.
        machines: tags to simulate; None for all.
        vibration_interval_s: seconds a block; None for the scenario's, or 1 when it is live.
        plant_start_ms: what the plant's own clock says at the start of a live run; shifts, products
            and weather follow it, so that a demo is the same at any hour. The wall clock when None.
    """

    scenario: str = "healthy"
    seed: int = 1
    speed: float = float("inf")
    start_ms: int | None = None
    days: float | None = None
    history_hours: float = 0.0
    history_interval_s: int = 60
    fault_delay_s: float | None = None
    growth_s: float | None = None
    machines: tuple[str, ...] | None = None
    vibration_interval_s: int | None = None
    plant_start_ms: int | None = None

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise ValueError(f"scenario: no {self.scenario!r}; there are {', '.join(SCENARIOS)}")
        for name in (
            "seed",
            "start_ms",
            "plant_start_ms",
            "history_hours",
            "fault_delay_s",
            "growth_s",
        ):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name}: {value} is negative")
        for name in ("speed", "days"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}: {value} is not above 0")
        for name in ("history_interval_s", "vibration_interval_s"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= SECONDS:
                raise ValueError(f"{name}: {value} is not 1 to {SECONDS} seconds")
        if self.plant_start_ms is not None and not self.live:
            raise ValueError("plant_start: is for a live run; others have `start`")

    @property
    def live(self) -> bool:
        """True when event time is wall time."""
        return self.speed == 1.0 and self.start_ms is None


class PlantDriver:
    """Blocks of all machines in the order of event time.

    The wall clock (`now`, seconds since the epoch, and `sleep`) comes in from outside. A paced run
    yields a block when its last second is over and drops nothing: when it is late, it catches up.
    """

    def __init__(
        self,
        options: DriverOptions,
        now: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Prepare a run.

        Raises:
            ValueError: a machine is unknown, or the scenario's is not among `machines`.
        """
        self._options = options
        self._now, self._sleep = now, sleep
        scenario = SCENARIOS[options.scenario]
        if options.live:
            scenario = scenario.live()
        if options.growth_s is not None:
            scenario = replace(scenario, growth_s=round(options.growth_s))
        if options.vibration_interval_s is not None:
            scenario = replace(scenario, vibration_interval_s=options.vibration_interval_s)
        self._scenario = scenario
        self.blocks_yielded: Counter[str] = Counter()
        # Event time less the plant's own time.
        self._ahead_ms = 0
        # The second of the plant that the next blocks begin with; None while it has not begun.
        self._next_s: int | None = None
        start_ms = DEFAULT_START_MS if options.start_ms is None else options.start_ms
        self._plant = self._healthy(start_ms)
        # A live run knows its start, and with it the onset, once it runs; its machines are known.
        planned = self._plant.with_faults(scenario.faults(self._onset_ms(start_ms)))
        self._labels: tuple[Label, ...] = () if options.live else planned.labels()

    def devices(self) -> Sequence[Device]:
        """Return the machines."""
        clock: Clock = "live" if self._options.live else "simulated"
        return self._plant.devices(clock)

    @property
    def scenario(self) -> Scenario:
        """The scenario as it runs."""
        return self._scenario

    @property
    def labels(self) -> tuple[Label, ...]:
        """The ground truth; of a live run empty until its history was taken."""
        return self._labels

    @property
    def expected_blocks(self) -> int | None:
        """How many blocks it yields in all; None when it goes on for ever."""
        duration_s = self._duration_s()
        if duration_s is None:
            return None
        history = self._history_s() // self._options.history_interval_s
        main = -(-duration_s // self._scenario.vibration_interval_s)
        return (history + main) * len(self._plant.machines)

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the history, then the scenario."""
        options, interval_s = self._options, self._scenario.vibration_interval_s
        if options.live:
            start_ms = int(self._now()) * 1000
            if options.plant_start_ms is not None:
                self._ahead_ms = start_ms - options.plant_start_ms
            self._plant = self._healthy(start_ms - self._ahead_ms)
        else:
            start_ms = self._plant.start_ms + self._history_s() * 1000
        history_s = self._history_s()
        for block in self._plant.blocks(0, history_s, options.history_interval_s):
            yield await self._count(block)

        from_ms = max(start_ms, round(self._now() * 1000)) if options.live else start_ms
        onset_ms = self._onset_ms(from_ms)
        self._plant = self._plant.with_faults(self._scenario.faults(onset_ms - self._ahead_ms))
        self._labels = tuple(
            replace(
                label,
                onset_ms=label.onset_ms + self._ahead_ms,
                full_ms=label.full_ms + self._ahead_ms,
            )
            for label in self._plant.labels()
        )
        # Pace counts from here, or of a live run from the start, so that event time is wall time.
        began = start_ms / 1000 if options.live else self._now()
        duration_s = self._duration_s()
        done_s = 0
        while duration_s is None or done_s < duration_s:
            length_s = interval_s if duration_s is None else min(interval_s, duration_s - done_s)
            due = began + (done_s + length_s) / options.speed
            wait = due - self._now()
            if wait > 0:
                await self._sleep(wait)
            first_s = history_s + done_s
            self._next_s = first_s + length_s
            for block in self._plant.blocks(first_s, first_s + length_s, length_s):
                yield await self._count(block)
            done_s += length_s

    def order_rate(self, tag: str, rate: float | None) -> None:
        """Give a machine a line rate of its own from the next block on, None for the plant's.

        Raises:
            ValueError: the run has not begun.
        """
        if self._next_s is None:
            raise ValueError(f"{tag}: the plant does not run yet")
        self._plant.machines[tag].order_rate(rate, self._next_s)

    async def close(self) -> None:
        """Let go of nothing: the plant holds no resource."""

    async def _count(self, block: Block) -> Block:
        self.blocks_yielded[block.device] += 1
        await asyncio.sleep(0)  # making blocks is all computation: let the agent's other tasks run
        if not self._ahead_ms:
            return block
        return replace(block, start_time_ms=block.start_time_ms + self._ahead_ms)

    def _healthy(self, start_ms: int) -> Plant:
        history_ms = self._history_s() * 1000
        if start_ms < history_ms:
            raise ValueError(f"history_hours: {self._options.history_hours} reach before 1970")
        return Plant(self._options.seed, start_ms - history_ms, (), self._options.machines)

    def _onset_ms(self, start_ms: int) -> int:
        delay_s = self._options.fault_delay_s
        if delay_s is None:
            delay_s = LIVE_FAULT_DELAY_S if self._options.live else self._scenario.warm_up_s
        return start_ms + round(delay_s * 1000)

    def _history_s(self) -> int:
        interval_s = self._options.history_interval_s
        return round(self._options.history_hours * HOUR_S / interval_s) * interval_s

    def _duration_s(self) -> int | None:
        if self._options.days is not None:
            return max(1, round(self._options.days * DAY_S))
        return None if self._options.live else self._scenario.duration_s


def create(options: Mapping[str, Any]) -> PlantDriver:
    """Make a driver from the options of a gateway file.

    Options are those of `DriverOptions`, but `speed` may be `"max"`, `start` and `plant_start`
    (milliseconds since the epoch, or RFC 3339 with an offset) stand for those in `_ms`, and
    `machines` is a list.

    Raises:
        ValueError: an option is unknown or wrong; the message names it.
    """
    known = {name.removesuffix("_ms") for name in DriverOptions.__dataclass_fields__}
    for name in options:
        if name not in known:
            raise ValueError(f"{name}: no such option; there are {', '.join(sorted(known))}")
    values: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    if values.get("speed") == "max":
        del values["speed"]
    for name in ("speed", "days", "history_hours", "fault_delay_s", "growth_s"):
        if name in values:
            values[name] = _number(name, values[name])
    for name in ("seed", "history_interval_s", "vibration_interval_s"):
        if name in values and (type(values[name]) is not int):
            raise ValueError(f"{name}: {values[name]!r} is not a whole number")
    for name in ("start", "plant_start"):
        if name in values:
            values[f"{name}_ms"] = _time_ms(name, values.pop(name))
    if "machines" in values:
        if isinstance(values["machines"], str):
            raise ValueError(f"machines: {values['machines']!r} is not a list of tags")
        values["machines"] = tuple(values["machines"])
    return PlantDriver(DriverOptions(**values))


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}: {value!r} is not a number")
    return float(value)


def _time_ms(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError as error:
        raise ValueError(f"{name}: {value!r} is not a time such as 2026-01-05T06:00:00Z") from error
    if moment.tzinfo is None:
        raise ValueError(f"{name}: {value!r} has no offset; end it with Z for UTC")
    return int(moment.timestamp() * 1000)
