"""The server's clock by its answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.opcua.clock import STEP_MS, ServerClock


class Times:
    """A machine's two clocks, in seconds."""

    def __init__(self) -> None:
        self.monotonic, self.wall = 1000.0, 2000.0

    def clock(self) -> ServerClock:
        return ServerClock(lambda: self.monotonic, lambda: self.wall)

    def pass_(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


def test_until_the_server_answers_it_is_the_gateways_time() -> None:
    assert Times().clock().now_ms() == 2_000_000


@given(st.lists(st.tuples(st.floats(0.01, 20.0), st.floats(0, 4000)), min_size=1))
def test_answers_that_are_late_do_not_set_the_clock_back(
    answers: list[tuple[float, float]],
) -> None:
    times = Times()
    clock = times.clock()
    ahead_ms = 3_600_000.0
    late = []
    for pause_s, late_ms in answers:
        times.pass_(pause_s)
        clock.saw(times.wall * 1000 + ahead_ms - late_ms)
        late.append(late_ms)
        behind = times.wall * 1000 + ahead_ms - clock.now_ms()
        assert min(late) - 1e-3 <= behind <= late_ms + 1e-3


def test_it_goes_on_by_itself_whatever_is_done_to_the_gateways_clock() -> None:
    times = Times()
    clock = times.clock()
    clock.saw(5_000_000.0)
    times.monotonic += 7.0
    times.wall -= 86_400.0

    assert clock.now_ms() == 5_007_000.0
    assert clock.skew_ms > 86_000_000


def test_a_server_clock_that_is_set_back_is_followed_at_once() -> None:
    times = Times()
    clock = times.clock()
    clock.saw(5_000_000.0)
    clock.saw(5_000_000.0 - 2 * STEP_MS)

    assert clock.now_ms() == 5_000_000.0 - 2 * STEP_MS


def test_a_clock_that_runs_slow_is_followed_within_two_minutes() -> None:
    times = Times()
    clock = times.clock()
    server_ms = 5_000_000.0
    for _ in range(180):
        clock.saw(server_ms)
        times.pass_(1.0)
        server_ms += 990.0

    assert abs(clock.now_ms() - server_ms) < 121 * 10
