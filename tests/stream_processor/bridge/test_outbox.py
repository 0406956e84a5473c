"""What waits for the plant's broker."""

from __future__ import annotations

import pytest

from stream_processor.bridge.outbox import MAX_COMMANDS, Downward, HostState, Outbox
from stream_processor.mqtt_publisher import state

ACK, NCMD = "headrace/ack/riverside/gw-{}", "spBv1.0/riverside/NCMD/gw-1"


def test_of_what_is_kept_the_last_goes_once() -> None:
    outbox = Outbox()
    for n in range(3):
        outbox.put(ACK.format(1), b"%d" % n, 1, False)
        outbox.put(ACK.format(2), b"%d" % n, 1, True)
    assert outbox.next() == Downward(ACK.format(1), b"2", 1, True)
    assert outbox.next() == Downward(ACK.format(2), b"2", 1, True)
    assert outbox.next() is None


def test_commands_go_first_each_once_and_never_kept() -> None:
    outbox = Outbox()
    outbox.put(ACK.format(1), b"a", 1, False)
    assert outbox.put(NCMD, b"1", 0, False) == ""
    assert outbox.put(NCMD, b"1", 0, False) == ""
    assert outbox.put(NCMD, b"of the past", 0, True) == "retained"
    assert [outbox.next() for _ in range(2)] == [Downward(NCMD, b"1", 0, False)] * 2
    assert outbox.next() == Downward(ACK.format(1), b"a", 1, True)


def test_commands_that_nobody_takes_make_room_for_newer_ones() -> None:
    outbox = Outbox()
    said = [outbox.put(NCMD, b"%d" % n, 0, False) for n in range(MAX_COMMANDS + 2)]
    assert said[-3:] == ["", "overflowed", "overflowed"]
    first = outbox.next()
    assert first is not None
    assert first.payload == b"2"


def test_the_host_s_death_is_as_old_as_its_birth() -> None:
    host = HostState("headrace")
    assert host.told() is None
    assert host.death().payload == state(False, 0)
    assert host.take(state(True, 5))
    assert host.told() == Downward("spBv1.0/STATE/headrace", state(True, 5), 1, True)
    assert host.death() == Downward("spBv1.0/STATE/headrace", state(False, 5), 1, True)


@pytest.mark.parametrize(
    "payload",
    [b"", b"online", b"[]", b"{}", b'{"online": 1, "timestamp": 5}', b'{"online": true}',
     b'{"online": true, "timestamp": -1}', b'{"online": true, "timestamp": true}', b"[" * 100_000],
)  # fmt: skip
def test_a_state_that_cannot_be_read_changes_nothing(payload: bytes) -> None:
    host = HostState("headrace")
    host.take(state(True, 5))
    assert not host.take(payload)
    assert (host.online, host.timestamp) == (True, 5)
