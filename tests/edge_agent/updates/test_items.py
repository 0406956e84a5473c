"""What a site's rollouts ask of one gateway."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.updates import items
from edge_agent.updates.items import Item, ItemsError
from edge_agent.updates.store import Artefact, Kind, Refusal, Slot


def item(**given: Any) -> Item:
    usual = {
        "rollout": "r2", "kind": "model", "equipment_class": "fan", "version": "2",
        "previous_version": "1.5", "state": "rolling", "group": "default", "percent": 100,
        "salt": "s",
    }  # fmt: skip
    return msgspec.convert({**usual, **given}, Item)


def artefact(version: str, rollout: str = "r2") -> Artefact:
    return Artefact(version=version, files={"model.tflite": version}, rollout=rollout)


def chosen(asked: list[Item], slot: Slot) -> list[str]:
    def slot_of(_kind: Kind, _name: str) -> Slot:
        return slot

    return [one.rollout for one in items.chosen(asked, "gw-1", "default", "line-1", slot_of)]


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_place_is_one_of_a_hundred_and_stays(salt: str, node: str) -> None:
    place = items.place(salt, node)

    assert 0 <= place < 100
    assert place == items.place(salt, node)
    # Who is in at a stage is in at every later one.
    stages = [item(percent=p, salt=salt).applies(node, "default") for p in (1, 10, 50, 100)]
    assert stages == sorted(stages)
    assert stages[-1]


def test_the_place_is_that_of_the_contract() -> None:
    # First eight bytes of SHA-256 of `a/gw-1` (sha256sum), big-endian, modulo 100.
    assert items.place("a", "gw-1") == 0x68708223B4AC7AE1 % 100


def test_a_tenth_of_a_fleet_is_about_a_tenth() -> None:
    taken = sum(items.place("salt", f"gw-{n}") < 10 for n in range(5000))

    assert 400 < taken < 600


def test_the_last_that_applies_is_followed() -> None:
    older, newer = item(rollout="r1", version="1.5"), item(rollout="r2")

    assert chosen([older, newer], Slot()) == ["r2"]
    assert chosen([older, item(rollout="r2", percent=0)], Slot()) == ["r1"]
    assert chosen([item(group="others")], Slot()) == []


@pytest.mark.parametrize("state", ["paused", "halted", "reverted"])
def test_what_no_longer_rolls_concerns_only_who_knows_it(state: str) -> None:
    older, newer = item(rollout="r1", version="1.5"), item(rollout="r2", state=state)

    assert chosen([older, newer], Slot()) == ["r1"]
    assert chosen([older, newer], Slot(current=artefact("2"))) == ["r2"]
    assert chosen([older, newer], Slot(trial=artefact("2"))) == ["r2"]


def test_who_came_back_from_one_hears_of_the_one_before() -> None:
    older = item(rollout="r1", version="1.5", previous_version="1", state="reverted")
    newer = item(rollout="r2", previous_version="1.5", state="reverted")
    refused = Refusal(version="2", rollout="r2", digest="", reason="", at_ms=0)

    # It refused the newer one and has what was before: the older one is reverted, too.
    assert chosen([older, newer], Slot(current=artefact("1.5", "r1"), refused=refused)) == ["r1"]
    # It has still to get what was before the newer one.
    assert chosen([older, newer], Slot(refused=refused)) == ["r2"]


def test_other_configurations_are_not_ours() -> None:
    other = {"kind": "configuration", "equipment_class": None}

    assert chosen([item(name="line-2", **other)], Slot()) == []
    assert chosen([item(name="line-1", **other)], Slot()) == ["r2"]


@pytest.mark.parametrize(
    ("slot", "wanted"),
    [
        (Slot(), "2"),
        (Slot(current=artefact("1.5")), "2"),
        (Slot(current=artefact("2")), ""),
        (Slot(trial=artefact("2")), ""),
        # Of another rollout: perhaps other contents.
        (Slot(current=artefact("2", "r1")), "2"),
    ],
)
def test_a_rolling_one_is_installed_once(slot: Slot, wanted: str) -> None:
    assert items.installs(item(), slot) == wanted


@pytest.mark.parametrize("state", ["paused", "halted"])
def test_what_is_held_is_neither_installed_nor_taken_back(state: str) -> None:
    held = item(state=state)

    for slot in (Slot(), Slot(current=artefact("2")), Slot(trial=artefact("2"))):
        assert items.installs(held, slot) == ""
        assert not items.takes_back(held, slot)


def test_a_reverted_one_goes_back_to_the_one_before_that_is_here() -> None:
    reverted = item(state="reverted")
    slot = Slot(current=artefact("2"), previous=artefact("1.5", "r1"))

    assert items.takes_back(reverted, slot)
    after = items.taken_back(reverted, slot, 7)

    assert after.current == artefact("1.5", "r1")
    assert after.refused == Refusal(
        version="2",
        rollout="r2",
        digest=artefact("2").digest,
        reason="the rollout was reverted",
        at_ms=7,
    )
    assert not items.takes_back(reverted, after)
    assert items.installs(reverted, after) == ""


def test_a_reverted_one_fetches_the_one_before_that_is_not_here() -> None:
    reverted = item(state="reverted")
    after = items.taken_back(reverted, Slot(current=artefact("2"), previous=artefact("1")), 7)

    assert after.current == artefact("1")
    assert items.installs(reverted, after) == "1.5"
    # On trial, kept, or refused: it is asked for once.
    assert items.installs(reverted, after.tried(artefact("1.5"))) == ""
    assert items.installs(reverted, after.tried(artefact("1.5")).kept(8)) == ""
    assert items.installs(reverted, after.tried(artefact("1.5")).dropped("slow", 8)) == ""


def test_a_reverted_one_without_one_before_goes_back_to_what_was_shipped() -> None:
    reverted = item(state="reverted", previous_version="")
    after = items.taken_back(reverted, Slot(current=artefact("2"), previous=artefact("1")), 7)

    assert after.current is None
    assert items.installs(reverted, after) == ""


def test_a_trial_of_a_reverted_one_ends() -> None:
    reverted = item(state="reverted")
    slot = Slot(current=artefact("1.5", "r1"), trial=artefact("2"))

    after = items.taken_back(reverted, slot, 7)

    assert (after.current, after.trial) == (artefact("1.5", "r1"), None)
    assert after.refused is not None
    assert after.refused.reason == "the rollout was reverted"


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{}", b"[1]", b'[{"kind": "model"}]',
        *(
            json.dumps([{**msgspec.to_builtins(item()), **wrong}]).encode()
            for wrong in (
                {"version": "../x"}, {"version": ""}, {"state": "gone"}, {"percent": 101},
                {"percent": "10"}, {"kind": "firmware"}, {"equipment_class": None},
                {"equipment_class": "a/b"}, {"previous_version": "/etc"}, {"salt": None},
            )
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(document: bytes) -> None:
    with pytest.raises(ItemsError):
        items.read(document)


def test_what_a_newer_cloud_adds_is_passed_over() -> None:
    document = json.dumps([{**msgspec.to_builtins(item()), "colour": "red"}]).encode()

    assert items.read(document) == [item()]


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(content: bytes) -> None:
    with suppress(ItemsError):
        assert isinstance(items.read(content), list)
