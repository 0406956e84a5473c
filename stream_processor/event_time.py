"""The event time of one device: what is in order, what waits for its place, what is late.

All of it is a function of the messages: of event times, of times of sending, and of the times at
which the log stored them. No clock is read, so that a replay places every frame alike.

The watermark of a device is its newest event time less its lateness, or what the stages have taken
when that is further. A frame that follows on what they have taken goes on at once; one that leaves
a hole before it waits until the hole is filled, the watermark has passed it, or the log has stored
something of the node a lateness later. What begins before what the stages have taken is late.

A device whose clock was put back would be late until its old time comes round again. Frames that
go on in order among themselves, while none that is timely comes, say that the clock was changed:
the device's time begins anew at them.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

Item = TypeVar("Item")

# More is not waited for, whatever a setting or a birth says.
MAX_LATENESS_S = 3600.0
# The most that waits for a hole to be filled; more and the earliest goes on without it.
MAX_HELD = 256
MAX_HELD_BYTES = 4 << 20
# Late frames in a row that make a clock step, among them the one that begins the new time.
STEP_FRAMES = 5
# A frame follows on another that ended less than this share of its own length ago.
FOLLOWING_SHARE = 0.5

# Frames in a row, event time and pace of the first, event time of the last.
Run = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class When:
    """The times of a frame in milliseconds, since the epoch where they are no length.

    `start_ms` is the event time of its first sample, `span_ms` how long its samples last and
    `stored_ms` when the log stored it. `paced_ms` is by what its device's clock is checked: when it
    was sent if batches are numbered, else when it was stored, since it may have been on its way for
    long.
    """

    start_ms: int
    span_ms: float
    paced_ms: int
    stored_ms: int


@dataclass(frozen=True, slots=True)
class Held(Generic[Item]):
    """A frame that waits for what may come before it; `size` in bytes."""

    when: When
    size: int
    item: Item


@dataclass(frozen=True, slots=True)
class Placed(Generic[Item]):
    """What became of a frame: whether it is late, and what goes on to the stages now, in order."""

    late: bool
    stepped: bool
    released: list[Item]


@dataclass(slots=True)
class Timeline(Generic[Item]):
    """What is known of one device's event time.

    `newest_ms` was seen, `released_ms` went on to the stages; both None before the first frame.
    """

    boot_epoch: int = 0
    newest_ms: int | None = None
    released_ms: int | None = None
    # Until where a frame follows on the last that was released; its start when nothing waits.
    reach_ms: float = 0.0
    held: list[Held[Item]] = field(default_factory=list)
    held_bytes: int = 0
    # Late frames that may turn out to be a new time.
    run: Run | None = None
    # By how much frames may be out of order, as the last one's birth or the setting said.
    lateness_ms: float = 0.0

    @property
    def watermark_ms(self) -> float | None:
        """The event time before which nothing is waited for; None before the first frame."""
        if self.newest_ms is None:
            return None
        passed = self.newest_ms - self.lateness_ms
        return passed if self.released_ms is None else max(passed, self.released_ms)

    def is_late(self, start_ms: int) -> bool:
        """Return whether the stages have taken something later."""
        return self.released_ms is not None and start_ms < self.released_ms

    def goes_on(self, start_ms: int) -> bool:
        """Take a frame that nothing could keep waiting; return whether it goes on at once.

        It does what `offer` does of a frame without lateness, of which there are many.
        """
        if self.held or self.is_late(start_ms):
            return False
        self.run = None
        self.lateness_ms = 0.0
        self.newest_ms = max(self.newest_ms or start_ms, start_ms)
        self.released_ms = self.reach_ms = start_ms
        return True

    def offer(
        self, item: Item, when: When, size: int, lateness_ms: float, tells: bool, live: bool
    ) -> Placed[Item]:
        """Take a frame of `size` bytes.

        `tells` is False of frames that are late on purpose and say nothing about the clock; `live`
        whether event time is wall time.
        """
        before: list[Item] = []
        stepped = False
        if self.is_late(when.start_ms):
            stepped = tells and self._is_step(when, live)
            if not stepped:
                return Placed(True, False, [])
            before = self.begin_anew(when.start_ms)
        self.run = None
        self.lateness_ms = lateness_ms
        self.newest_ms = max(self.newest_ms or when.start_ms, when.start_ms)
        insort(self.held, Held(when, size, item), key=lambda held: held.when.start_ms)
        self.held_bytes += size
        return Placed(False, stepped, before + self.release(when.stored_ms))

    def release(self, stored_ms: int) -> list[Item]:
        """Return what waits no more; `stored_ms` is how far the log has been read."""
        if not self.held or self.newest_ms is None:
            return []
        passed = self.newest_ms - self.lateness_ms
        for held in self.held:
            if held.when.stored_ms + self.lateness_ms <= stored_ms:
                passed = max(passed, held.when.start_ms)
        found = []
        while self.held and (
            self.held[0].when.start_ms <= passed
            or (self.released_ms is not None and self.held[0].when.start_ms <= self.reach_ms)
            or len(self.held) > MAX_HELD
            or self.held_bytes > MAX_HELD_BYTES
        ):
            found.append(self._pass())
        return found

    def flush(self) -> list[Item]:
        """Return all that waits, in order: nothing more will come before it."""
        return [self._pass() for _ in range(len(self.held))]

    def begin_anew(self, start_ms: int) -> list[Item]:
        """Let time begin at `start_ms`, whatever was before; return what waited, in order."""
        waited = self.flush()
        self.newest_ms = self.released_ms = start_ms
        self.reach_ms = start_ms
        self.run = None
        return waited

    def _pass(self) -> Item:
        held = self.held.pop(0)
        self.held_bytes -= held.size
        when = held.when
        self.released_ms = when.start_ms
        self.reach_ms = when.start_ms + (1.0 + FOLLOWING_SHARE) * when.span_ms
        return held.item

    def _is_step(self, when: When, live: bool) -> bool:
        """Return whether late frames have gone on in order for long enough to be a new time.

        Of a live clock, what was measured goes on as fast as it is sent, or stored; what is handed
        in later comes faster.
        """
        if self.run is None or when.start_ms < self.run[3]:
            self.run = (1, when.start_ms, when.paced_ms, when.start_ms)
            return False
        count, first_ms, paced_ms, _ = self.run
        self.run = (count + 1, first_ms, paced_ms, when.start_ms)
        if count + 1 < STEP_FRAMES:
            return False
        measured, paced = when.start_ms - first_ms, when.paced_ms - paced_ms
        if measured > 0 and (not live or 2 * abs(paced - measured) <= measured):
            return True
        self.run = (1, when.start_ms, when.paced_ms, when.start_ms)
        return False

    def state(self) -> tuple[Any, ...]:
        """Return all but what is held, as values of built-in types."""
        return (
            self.boot_epoch,
            self.newest_ms,
            self.released_ms,
            self.reach_ms,
            self.run,
            self.lateness_ms,
        )

    @classmethod
    def restore(cls, state: tuple[Any, ...]) -> Self:
        """Return the timeline that `state` wrote; what it held is to be kept again."""
        boot_epoch, newest_ms, released_ms, reach_ms, run, lateness_ms = state
        return cls(boot_epoch, newest_ms, released_ms, reach_ms, run=run, lateness_ms=lateness_ms)

    def keep(self, item: Item, when: When, size: int) -> None:
        """Hold again what `state` left out, in the order it was held."""
        self.held.append(Held(when, size, item))
        self.held_bytes += size
