"""A managed configuration: tried, kept or dropped, and never in the way of the local file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.updates import configuration
from edge_agent.updates.configuration import STARTS, ConfigurationTrial, effective, merged
from edge_agent.updates.store import CONFIGURATION, Artefact, Slot, Store

MANAGED = """
site = "elsewhere"
health_interval_s = 3.0
[broker]
host = "broker.of.an.attacker"
[[drivers]]
kind = "plugin"
factory = "firmware_sim.driver:create"
[drivers.options]
scenario = "bearing-wear"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"HEADRACE_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def local(updated_gateway: Any) -> Path:
    return Path(updated_gateway.job.gateway)


def stored(store: Store, version: str, text: str = MANAGED) -> Artefact:
    with store.staging() as folder:
        (folder / CONFIGURATION).write_text(text, encoding="utf-8")
        digest = store.take(folder / CONFIGURATION)
    return Artefact(version=version, files={CONFIGURATION: digest}, rollout="rollouts/1")


def put(store: Store, **slot: Any) -> None:
    with store.changing() as change:
        change.put("configuration", "line-1", Slot(**slot))


def slot_of(store: Store) -> Slot:
    return store.manifest().slot("configuration", "line-1")


def test_a_rolled_out_configuration_is_put_on_trial_and_counts_at_the_next_start(
    update_repository: Any, updated_gateway: Any, local: Path, environment: dict[str, str]
) -> None:
    update_repository.add("configurations/line-1/7/gateway.toml", MANAGED.encode())
    update_repository.roll_out(
        "riverside", {"kind": "configuration", "name": "line-1", "version": "7"}
    )
    update_repository.publish()

    outcome = updated_gateway.check()
    before = local.read_bytes()
    started = effective(local, environment)

    assert [(f.kind, f.what) for f in outcome.findings] == [("configuration", "on trial")]
    assert started.on_trial
    assert started.artefact is not None
    assert started.artefact.version == "7"
    gateway = started.settings.gateway
    assert gateway.health_interval_s == 3.0
    assert gateway.drivers[0].options == {"scenario": "bearing-wear"}
    # Who it is and where it is told from stay its own.
    assert (gateway.site, gateway.broker.host) == ("riverside", "127.0.0.1")
    assert gateway.updates.server == update_repository.url
    assert local.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("health_interval_s = -1\n" + MANAGED.replace("health_interval_s = 3.0", ""), "health_int"),
        (MANAGED.replace("bearing-wear", "no-such-scenario"), "no-such-scenario"),
        ("drivers = 3", "drivers"),
        ("[[drivers", "Expected ']]' at the end of an array declaration"),
    ],
    ids=["field", "option", "type", "no TOML"],
)
def test_a_configuration_that_is_wrong_never_gets_a_trial(
    update_repository: Any, updated_gateway: Any, text: str, reason: str
) -> None:
    update_repository.add("configurations/line-1/7/gateway.toml", text.encode())
    update_repository.roll_out(
        "riverside", {"kind": "configuration", "name": "line-1", "version": "7"}
    )
    update_repository.publish()

    outcome = updated_gateway.check()

    assert [f.what for f in outcome.findings] == ["refused"]
    assert reason in outcome.findings[0].reason
    slot = slot_of(updated_gateway.store)
    assert (slot.trial, slot.current) == (None, None)
    # And is not fetched again as long as the rollout is the same.
    assert [f.what for f in updated_gateway.check().findings] == ["refused before"]


def test_two_bad_ends_take_it_back(
    updated_gateway: Any, local: Path, environment: dict[str, str]
) -> None:
    store = updated_gateway.store
    old, new = stored(store, "6"), stored(store, "7", MANAGED.replace("3.0", "4.0"))
    put(store, current=old, trial=new)

    for _ in range(STARTS):
        assert effective(local, environment).artefact == new
    after = effective(local, environment)

    assert (after.artefact, after.on_trial) == (old, False)
    assert slot_of(store).refused.reason == "the agent ended badly 2 times with it"


def test_ends_on_purpose_do_not_count(
    updated_gateway: Any, local: Path, environment: dict[str, str]
) -> None:
    store = updated_gateway.store
    new = stored(store, "7")
    put(store, trial=new)

    for _ in range(STARTS + 3):
        assert effective(local, environment).artefact == new
        configuration.forgive(store, "line-1")

    configuration.keep(store, "line-1")
    assert slot_of(store).current.version == "7"
    assert not effective(local, environment).on_trial


def test_a_damaged_one_falls_back_to_the_one_before_then_to_the_local_file(
    updated_gateway: Any, local: Path, environment: dict[str, str]
) -> None:
    store = updated_gateway.store
    old, new = stored(store, "6"), stored(store, "7", MANAGED.replace("3.0", "4.0"))
    put(store, current=new, previous=old)

    assert effective(local, environment).settings.gateway.health_interval_s == 4.0
    store.path(new, CONFIGURATION).write_text("health_interval_s = 5.0")
    assert effective(local, environment).settings.gateway.health_interval_s == 3.0
    store.path(old, CONFIGURATION).unlink()
    own = effective(local, environment)
    assert (own.artefact, own.settings.gateway.health_interval_s) == (None, 10.0)


def test_without_a_name_the_local_file_counts(
    updated_gateway: Any, local: Path, environment: dict[str, str]
) -> None:
    put(updated_gateway.store, current=stored(updated_gateway.store, "7"))
    local.write_text(local.read_text().replace('configuration = "line-1"\n', ""))

    assert effective(local, environment).artefact is None


def test_what_is_local_stays_so_also_when_the_local_file_leaves_it_out() -> None:
    found = merged({"site": "a"}, {"site": "b", "status": {"port": 1}, "spool": {}, "drivers": []})

    assert found == {"site": "a", "spool": {}, "drivers": []}


def trial() -> ConfigurationTrial:
    return ConfigurationTrial(well_s=10, patience_s=100)


def test_it_stays_after_having_run_well_for_a_while() -> None:
    new = trial()
    said = [new.verdict(t, True, read=t, depth=0, acknowledged=t) for t in range(1, 12)]

    assert said == [None] * 10 + [""]


def test_a_session_that_breaks_begins_the_while_anew() -> None:
    new = trial()
    said = [new.verdict(t, t != 8, read=t, depth=0, acknowledged=t) for t in range(1, 20)]

    assert said == [None] * 18 + [""]


def test_it_goes_when_nothing_is_read_while_there_is_a_broker() -> None:
    new = trial()
    # For a long time there is none.
    assert {new.verdict(t, False, 0, 0, 0) for t in range(1000)} == {None}
    said = [new.verdict(t, True, 0, 0, 0) for t in range(1000, 1101)]

    assert said[:-2] == [None] * 99
    assert said[-1] == "nothing was read after 101 s with the broker"


def test_it_goes_when_nothing_is_acknowledged() -> None:
    new = trial()
    said = [new.verdict(t, True, read=t, depth=t, acknowledged=0) for t in range(102)]

    assert "batches wait after" in str(said[-1])
