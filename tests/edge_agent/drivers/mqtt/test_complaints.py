"""What cannot be read is counted, and said once a minute a topic."""

from __future__ import annotations

from edge_agent.drivers.mqtt.complaints import SAY_EVERY_S, Complaints


def test_once_a_minute_a_topic() -> None:
    now = 0.0
    complaints = Complaints(lambda: now)
    for _ in range(3):
        complaints.add("a", "no json")
    complaints.add("b", "no json")
    assert (complaints.count, complaints.said) == (4, 2)
    now = SAY_EVERY_S
    complaints.add("a", "no json")
    assert (complaints.count, complaints.said) == (5, 3)


def test_topics_without_end_are_not_remembered_without_end() -> None:
    complaints = Complaints(lambda: 0.0)
    for i in range(5000):
        complaints.add(f"topic/{i}", "no json")
    assert complaints.count == 5000
    assert complaints.said == len(complaints._topics) == 1000
