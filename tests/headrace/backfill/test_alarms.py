from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.backfill.alarms import Alarm, Episodes, compare
from headrace.rule_testing import Said


def said(time_ms: int, transition: str = "raise", rule: str = "hot", shadow: bool = False) -> Said:
    return Said(time_ms, "P-1", rule, transition, shadow, "high", "it is hot", "riverside")


@st.composite
def version(draw: st.DrawFn) -> list[Alarm]:
    """What one version of two rules alarms: of a rule never two at a time."""
    found = []
    for rule in ("hot", "loud"):
        times = sorted(draw(st.sets(st.integers(0, 40), max_size=8)))
        for raised, cleared in zip(times[::2], [*times[1::2], None], strict=False):
            found.append(Alarm(said(raised, rule=rule), cleared))
    return found


def overlap(a: Alarm, b: Alarm) -> bool:
    return a.key == b.key and a.raised_ms <= b.end_ms and b.raised_ms <= a.end_ms


@given(version(), version())
def test_every_alarm_is_in_one_match_and_is_the_same_when_one_overlaps(
    then: list[Alarm], now: list[Alarm]
) -> None:
    matches = compare(then, now)

    def by_time(alarms: list[Alarm]) -> list[Alarm]:
        return sorted(alarms, key=lambda a: (a.key, a.raised_ms))

    assert by_time([a for m in matches for a in m.then]) == by_time(then)
    assert by_time([a for m in matches for a in m.now]) == by_time(now)
    for match in matches:
        for alarm in match.now:
            there = any(overlap(alarm, other) for other in then)
            assert match.what == ("same" if there else "added")
        for alarm in match.then:
            there = any(overlap(alarm, other) for other in now)
            assert match.what == ("same" if there else "gone")
        if match.what != "same":
            assert len(match.then) + len(match.now) == 1


@given(version(), version())
def test_what_is_added_one_way_is_gone_the_other(then: list[Alarm], now: list[Alarm]) -> None:
    forth = [(m.what, m.then, m.now) for m in compare(then, now)]
    back = [(m.what, m.now, m.then) for m in compare(now, then)]
    turned = {"added": "gone", "gone": "added", "same": "same"}
    order = lambda entry: (entry[1] + entry[2])[0].key  # noqa: E731
    assert sorted(((turned[w], t, n) for w, t, n in back), key=order) == sorted(forth, key=order)


@given(version())
def test_a_version_is_the_same_as_itself(alarms: list[Alarm]) -> None:
    matches = compare(alarms, alarms)
    assert len(matches) == len(alarms)
    assert all(m.what == "same" and m.then == m.now and m.later_ms == 0 for m in matches)


def test_two_alarms_that_become_one_are_the_same() -> None:
    then = [Alarm(said(10), 20), Alarm(said(30), 40)]
    (match,) = compare(then, [Alarm(said(5), 50)])
    assert (match.what, len(match.then), match.later_ms) == ("same", 2, -5)


def test_episodes_begin_end_and_are_forgotten_when_they_ended_before_the_range() -> None:
    episodes = Episodes(since_ms=100)
    for time_ms, transition in ((10, "raise"), (20, "clear"), (30, "raise"), (120, "clear")):
        episodes.hear(said(time_ms, transition), time_ms)
    episodes.hear(said(130), 130)
    # Told as active what was in shadow; and an end of what was not told.
    episodes.hear(said(90, rule="loud", shadow=True), 90)
    episodes.hear(said(140, rule="loud"), 140)
    episodes.hear(said(150, "clear", rule="still"), 150)

    assert [
        (a.said.rule, a.said.shadow, a.raised_ms, a.cleared_ms, a.before) for a in episodes.alarms()
    ] == [
        ("hot", False, 30, 120, True),
        ("loud", True, 90, 140, True),
        ("hot", False, 130, None, False),
        ("loud", False, 140, None, False),
    ]
