"""Commands to an agent: within limits, once, and answered."""

from __future__ import annotations

import json
import signal
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from edge_agent import checking
from edge_agent.v1 import report_pb2

DONE, REFUSED, FAILED = (
    report_pb2.OUTCOME_DONE,
    report_pb2.OUTCOME_REFUSED,
    report_pb2.OUTCOME_FAILED,
)


@pytest.fixture(scope="module")
def plant(plants: Any) -> Any:
    made = plants()
    made.agent = made.start()
    made.until(lambda: made.of("DDATA"))
    return made


def outcome(plant: Any, id: str, count: int = 1) -> Any:
    def found() -> list[Any]:
        return [o for o in plant.observer.outcomes() if o.command_id == id]

    plant.observer.until(lambda: len(found()) >= count)
    return found()[-1]


def test_a_write_is_done_and_seen_in_the_data(plant: Any) -> None:
    plant.observer.command("M-1", "w-1", Speed=1800.0, **{"Headrace/Requested By": "ada"})

    said = outcome(plant, "w-1")

    assert (said.site, said.edge_node, said.device) == ("riverside", "gw-1", "M-1")
    assert (said.metric, said.outcome, said.number) == ("Speed", DONE, 1800.0)
    assert said.requested_by == "ada"
    assert abs(said.outcome_time.ToMilliseconds() - time.time_ns() // 1_000_000) < 60_000
    # The device's own next block has it: what it does, not what it was told.
    alias = next(m.alias for m in plant.of("DBIRTH")[0].message.metrics if m.name == "Speed")

    def speeds() -> set[bytes]:
        return {
            m.bytes_value
            for said in plant.of("DDATA")
            if said.device == "M-1"
            for m in said.message.metrics
            if m.alias == alias
        }

    plant.until(lambda: struct.pack("<f", 1800.0) in speeds())
    (record,) = [r for r in plant.audit() if r["id"] == "w-1"]
    assert record["event"] == "command"
    assert (record["device"], record["metric"], record["value"]) == ("M-1", "Speed", 1800.0)
    assert (record["outcome"], record["requested_by"]) == ("OUTCOME_DONE", "ada")


@pytest.mark.parametrize(
    ("id", "device", "values", "wanted", "reason"),
    [
        ("r-1", "M-1", {"Speed": 5000.0}, REFUSED, "5000 is above 3000 1/min"),
        ("r-2", "M-1", {"Speed": -1.0}, REFUSED, "-1 is below 0 1/min"),
        ("r-3", "M-1", {"Speed": 10.0}, REFUSED, "1000 at most at once"),
        ("r-4", "M-1", {"Speed": "fast"}, REFUSED, "'fast' is no number"),
        ("r-5", "M-1", {"Link": True}, REFUSED, "may not be written to from afar"),
        ("r-6", "M-1", {"Recipe": "plain"}, REFUSED, "needs `Headrace/Confirmed By`"),
        (
            "r-7",
            "M-1",
            {"Recipe": "sweet", "Headrace/Confirmed By": "bo"},
            REFUSED,
            "none of plain, spoilt",
        ),
        (
            "r-8",
            "M-1",
            {"Recipe": "spoilt", "Headrace/Confirmed By": "bo"},
            FAILED,
            "does not know that recipe",
        ),
        ("r-9", "M-1", {"Recipe": "plain", "Headrace/Confirmed By": "bo"}, DONE, ""),
        ("r-10", "", {"Node Control/Dance": True}, REFUSED, "there is no such control"),
        ("r-11", "", {"Node Control/Log Level": "loud"}, REFUSED, "'loud' is none of"),
        ("r-12", "", {"Node Control/Log Level": "debug"}, DONE, ""),
        ("r-13", "", {"Node Control/Rebirth": True}, DONE, ""),
        ("r-14", "", {"Node Control/Check Updates": True}, DONE, ""),
    ],
)
def test_limits_hold(
    plant: Any, id: str, device: str, values: dict[str, Any], wanted: int, reason: str
) -> None:
    plant.observer.command(device, id, **values)

    said = outcome(plant, id)

    assert said.outcome == wanted
    assert reason in said.reason
    assert said.confirmed_by == values.get("Headrace/Confirmed By", "")


def test_a_point_that_is_no_channel_shows_what_it_was_set_to(plant: Any) -> None:
    def shown() -> list[str]:
        births = [said for said in plant.of("DBIRTH") if said.device == "M-1"]
        return [said.metric("Recipe").string_value for said in births]

    plant.observer.command("M-1", "shown", Recipe="plain", **{"Headrace/Confirmed By": "bo"})
    assert outcome(plant, "shown").outcome == DONE

    # Before its answer, so that who sees the one sees the other.
    assert shown()[-1] == "plain"
    births = len(shown())
    plant.observer.command("M-1", "hidden", Speed=1500.0)
    assert outcome(plant, "hidden").outcome == DONE
    assert len(shown()) == births


@pytest.mark.parametrize(
    ("id", "shift_ms", "said"),
    [("t-1", -3_600_000, "ago"), ("t-2", 3_600_000, "ahead"), ("t-3", None, "when it was sent")],
)
def test_a_command_is_of_now(plant: Any, id: str, shift_ms: int | None, said: str) -> None:
    now = time.time_ns() // 1_000_000
    when = 0 if shift_ms is None else now + shift_ms
    plant.observer.command("M-1", id, timestamp=when, Speed=1800.0)

    found = outcome(plant, id)

    assert found.outcome == REFUSED
    assert said in found.reason


def test_what_a_broker_kept_is_no_wish_of_now(plant: Any) -> None:
    births = len(plant.of("NBIRTH"))
    sent = plant.observer
    sent.command("M-2", "kept", Link=False)
    assert outcome(plant, "kept").outcome == DONE
    kept = next(p for p in plant.tap.packets if "/DCMD/" in p.topic and b"kept" in p.payload)
    sent.command("M-2", "back", Link=True)
    assert outcome(plant, "back").outcome == DONE
    sent.say(kept.topic, kept.payload.replace(b"kept", b"held"), retain=True)
    assert outcome(plant, "held").outcome == DONE

    plant.tap.cut()
    plant.until(lambda: len(plant.of("NBIRTH")) == births + 1)
    sent.command("M-2", "after", Link=True)
    assert outcome(plant, "after").outcome == DONE

    sent.say(kept.topic, b"", retain=True)
    assert "it was retained" in plant.log.read_text(encoding="utf-8")
    # Its answer may come twice, when the cable was cut before the broker's word for it.
    assert [r["event"] for r in plant.audit() if r["id"] == "held"] == ["command"]


def test_a_command_is_carried_out_once_also_over_a_restart(plant: Any) -> None:
    plant.observer.command("M-1", "once", Speed=1900.0)
    assert outcome(plant, "once").number == 1900.0
    # Another value under the same id: it is the same command, and answered as it was.
    plant.observer.command("M-1", "once", Speed=2000.0)
    assert outcome(plant, "once", 2).number == 1900.0

    births = len(plant.of("NBIRTH"))
    plant.agent.kill()
    plant.agent.wait()
    plant.agent = plant.start()
    plant.until(lambda: len(plant.of("NBIRTH")) == births + 1)
    plant.until(lambda: plant.wire[-1].kind == "DDATA")
    plant.observer.command("M-1", "once", Speed=2000.0)

    said = outcome(plant, "once", 3)
    assert (said.outcome, said.number) == (DONE, 1900.0)
    records = [r for r in plant.audit() if r["id"] == "once"]
    assert [r["event"] for r in records] == ["command", "command came again", "command came again"]


def test_one_that_was_cut_short_is_not_tried_again(plant: Any) -> None:
    births = len(plant.of("NBIRTH"))
    plant.agent.send_signal(signal.SIGTERM)
    plant.agent.wait(60)
    journal = plant.folder / "data" / "edge" / "riverside" / "gw-1.commands"
    with journal.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": "torn", "answers": []}) + '\n{"id": "half')
    plant.agent = plant.start()
    plant.until(lambda: len(plant.of("NBIRTH")) == births + 1)
    plant.until(lambda: plant.wire[-1].kind == "DDATA")

    plant.observer.command("M-1", "torn", Speed=1500.0)
    said = outcome(plant, "torn")
    assert said.outcome == FAILED
    assert "is not known" in said.reason
    plant.observer.command("M-1", "half", Speed=1500.0)
    assert outcome(plant, "half").outcome == DONE


def test_a_point_that_cannot_be_written_is_found_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    file = tmp_path / "gateway.toml"
    text = """site = "s"
edge_node = "n"
[[drivers]]
kind = "plugin"
factory = "scripted_driver:create"
options = { machines = ["M"], period_s = 1 }
[[writes]]
device = "M"
name = "Recipe"
kind = "text"
[[writes]]
device = "M"
name = "Height"
minimum = 0
maximum = 9
"""
    file.write_text(text, encoding="utf-8")
    (found,) = checking.check(file)
    assert (found.line, found.field) == (13, "writes[1].name")
    assert "'Height' is none of the points" in found.message

    file.write_text(text.replace("Height", "Speed"), encoding="utf-8")
    assert checking.check(file) == []


def test_a_restart_is_answered_first(plant: Any) -> None:
    plant.observer.command(id="again", **{"Node Control/Restart": True})

    assert outcome(plant, "again").outcome == DONE
    assert plant.agent.wait(60) == 75
