"""A range of a real log, rerun through other rules by the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from headrace.cli import app

File = Callable[..., str]
DAY = ("--since", "1d")


def brief(document: dict[str, Any]) -> list[tuple[str, str, int, int | None]]:
    """Return what became of each alarm: machine, and seconds of event time."""
    found = []
    for match in document["alarms"]:
        alarm = (match["now"] or match["then"])[0]
        ended = alarm["cleared"] and seconds(alarm["cleared"])
        found.append((match["what"], alarm["equipment"], seconds(alarm["raised"]), ended))
    return found


def seconds(text: str) -> int:
    """Return the seconds of a time since midnight."""
    hours, minutes, rest = text[11:19].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(rest)


def test_tighter_and_looser_limits_add_and_end_alarms(log: Any, backfill: Any, file: File) -> None:
    log.write(("rules.test_rig", file().encode()))
    log.births()
    # One goes over both limits, one over the tighter one only.
    log.send(20, 90, 90, 90, 20, 20, 20, 75, 75, 75, 20, 20, 20)

    same = backfill.document(*DAY, text=file(version=2))
    assert brief(same) == [("same", "R-1", 3, 6)]
    assert (same["added"], same["gone"], same["same"]) == (0, 0, 1)
    assert (same["blocks"], same["observations"], same["lost"]) == (13, 13, 0)
    (match,) = same["alarms"]
    assert match["then"][0]["version"] == "rules/test_rig/1"
    assert match["now"][0]["version"] == "rules/test_rig/2"
    assert match["now"][0]["evidence"] == {
        "channel": "Heat", "feature": "mean", "unit": "degC", "value": 90.0, "limit": 80.0,
    }  # fmt: skip

    tighter = backfill.document(*DAY, text=file(version=2, above=74.0))
    assert brief(tighter) == [("same", "R-1", 3, 6), ("added", "R-1", 9, 12)]
    looser = backfill.document(*DAY, text=file(version=2, above=95.0))
    assert brief(looser) == [("gone", "R-1", 3, 6)]
    shadow = backfill.document(*DAY, text=file(version=2, mode='mode = "shadow"'))
    assert brief(shadow) == [("same", "R-1", 3, 6)]
    assert shadow["alarms"][0]["now"][0]["mode"] == "shadow"
    applied = backfill.document(*DAY, "--rules-as-applied")
    assert brief(applied) == [("same", "R-1", 3, 6)]

    shown = backfill(*DAY, text=file(version=2, above=74.0))
    assert shown.exit_code == 0, shown.output
    assert "1 added, 0 gone, 1 the same against the rules in force, in 13 blocks" in shown.output
    (row,) = [line for line in shown.stdout.splitlines() if line.strip().startswith("added")]
    assert "hot" in row
    assert "riverside/R-1" in row
    assert "75 °C at 74 °C" in row


def test_a_range_in_the_middle_is_read_by_births_and_rules_of_before(
    log: Any, backfill: Any, file: File
) -> None:
    log.write(("rules.test_rig", file().encode()))
    log.births()
    log.send(20, 90, 90, 90, 20, 20, 20)
    since = log.place()
    log.send(90, 90, 90, 20, 20, 20)
    until = log.place()
    log.send(90, 90, 90, 20, 20, 20)

    for warm_up in ("0s", "1h"):
        found = backfill.document(
            "--since", since, "--until", until, "--warm-up", warm_up, text=file(2)
        )
        assert brief(found) == [("same", "R-1", 9, 12)]
        assert found["messages"] == found["blocks"] == 6
        assert (found["lost"], found["waiting"], found["dead_letters"]) == (0, 0, {})


def test_an_alarm_that_stood_when_the_range_began_is_told(
    log: Any, backfill: Any, file: File
) -> None:
    log.write(("rules.test_rig", file().encode()))
    log.births()
    log.send(20, 90, 90, 90)
    since = log.place()
    log.send(90, 90)

    found = backfill.document("--since", since, text=file(2, above=99.0, below=95.0))
    (match,) = found["alarms"]
    assert (match["what"], match["now"]) == ("gone", [])
    assert match["then"][0]["raised_before_range"] is True
    assert match["then"][0]["cleared"] is None


def test_rules_come_into_force_in_their_place(log: Any, backfill: Any, file: File) -> None:
    log.births()
    log.send(20, 90, 90, 90)
    since = log.place()
    log.write(("rules.test_rig", file(1).encode()))
    log.send(90, 90, 90)
    log.write(("rules.test_rig", file(2, above=99.0, below=95.0).encode()))
    log.send(90, 90, 90)

    applied = backfill.document("--since", since, "--rules-as-applied")
    assert brief(applied) == [("same", "R-1", 6, 9)]
    tried = backfill.document("--since", since, text=file(3))
    # The tried file judges the whole of it, warm-up included.
    assert brief(tried) == [("same", "R-1", 3, None)]
    assert tried["alarms"][0]["now"][0]["raised_before_range"] is True


def test_rules_that_the_log_forgot_are_in_force_from_its_beginning(
    log: Any, backfill: Any, file: File
) -> None:
    path = backfill.folder / "applied.toml"
    path.write_text(file(1))
    assert CliRunner().invoke(app, ["rules", "apply", str(path)]).exit_code == 0
    log.births()
    log.send(20, 90, 90, 90)
    log.forget(keep=6)
    found = backfill.document("--since", log.begin(), "--rules-as-applied")
    assert brief(found) == [("same", "R-1", 3, None)]


def test_what_the_live_flow_sets_aside_is_counted(log: Any, backfill: Any, file: File) -> None:
    log.births()
    log.send(20, 90)
    log.write(
        ("spBv1//0.riverside.DDATA.gw-1.R-1", b"\xff\xff"),
        ("spBv1//0.riverside.DDATA.gw-1.R-1.more", b""),
        ("rules.test_rig", b"version = 1"),
    )
    log.send(90, 90)
    log.write(("spBv1//0.riverside.DDATA.gw-9.R-9", b"\xff\xff"))

    found = backfill.document(*DAY, text=file())
    assert found["dead_letters"] == {"UNDECODABLE": 2, "UNKNOWN_TOPIC": 1, "INVALID_RULES": 1}
    assert brief(found) == [("added", "R-1", 3, None)]


def test_births_that_the_log_forgot_are_learnt_from_the_same_boot(
    log: Any, backfill: Any, file: File
) -> None:
    log.births()
    log.send(20, 90, 90, 90)
    log.forget(keep=4)
    since = log.place()
    log.send(90, 20, 20, 20)

    lost = backfill.document("--since", since, "--warm-up", "0s", text=file())
    assert lost["alarms"] == []
    assert lost["waiting"] == 4
    log.births()
    log.boot_epoch = 2
    log.births()
    found = backfill.document("--since", since, text=file())
    assert brief(found) == [("added", "R-1", 3, 7)]
    assert (found["waiting"], found["dead_letters"]) == (0, {})


def test_only_what_was_asked_for_is_judged(log: Any, backfill: Any, file: File) -> None:
    for site, node, machine in (("east", "gw-1", "R-1"), ("west", "gw-2", "R-2")):
        log.births(machine, node, site)
        log.send(20, 90, 90, 90, machine=machine, node=node, site=site)

    def machines(*options: str) -> list[str]:
        return list(backfill.document(*DAY, *options, text=file())["machines"])

    assert machines() == ["east/R-1", "west/R-2"]
    assert machines("--site", "west") == ["west/R-2"]
    assert machines("--node", "gw-1") == ["east/R-1"]
    assert machines("--equipment", "*-2", "--equipment", "X") == ["west/R-2"]
    assert backfill.document(*DAY, "--rule", "hot", text=file())["added"] == 2
    assert backfill.document(*DAY, "--rate", "1000", text=file())["added"] == 2


@pytest.mark.parametrize(
    ("expected", "code", "said"),
    [
        ('[[expect]]\nrule = "hot"\nequipment = "R-1"\n', 0, ""),
        ("[[expect_none]]\n", 1, "nothing was due of any rule; hot was raised on R-1"),
        ('[[expect]]\nrule = "hto"\n', 2, "did you mean 'hot'?"),
    ],
)
def test_what_is_expected_decides_the_exit(
    log: Any, backfill: Any, file: File, tmp_path: Any, expected: str, code: int, said: str
) -> None:
    log.births()
    log.send(20, 90, 90, 90)
    expect = tmp_path / "expect.toml"
    expect.write_text(expected)

    found = backfill(*DAY, "--expect", str(expect), text=file())
    assert found.exit_code == code, found.output
    assert said in " ".join(found.output.split())


def test_a_range_that_cannot_be_read_is_explained(log: Any, backfill: Any, file: File) -> None:
    def refused(*options: str, text: str = "") -> str:
        found = backfill(*options, text=text)
        assert found.exit_code == 2, found.output
        assert "Traceback" not in found.output
        return " ".join(found.output.split())

    assert "the log holds nothing" in refused(*DAY, text=file())
    log.births()
    log.send(20, 90)
    place = log.place()
    assert "the log holds 20" in refused("--since", place, text=file())
    assert "nothing was stored" in refused("--since", "2d", "--until", "1d", text=file())
    assert "not before --until" in refused("--since", "1d", "--until", "2d", text=file())
    assert "nothing that was asked for" in refused(*DAY, "--site", "nowhere", text=file())
    assert "did you mean 'hot'?" in refused(*DAY, "--rule", "hto", text=file())
    assert "--since: 'soon' is no time" in refused("--since", "soon", text=file())
    assert "--warm-up: 'long'" in refused(*DAY, "--warm-up", "long", text=file())
    assert "--rules FILE" in refused(*DAY)
    assert "--rules FILE" in refused(*DAY, "--rules-as-applied", text=file())
    log.forget(keep=1)
    assert "before what the log still holds: the log holds 20" in refused(*DAY, text=file())
    log.do(lambda jetstream: jetstream.delete_stream("TELEMETRY"))
    assert "the log is not there" in refused(*DAY, text=file())
    log.broker.stop()
    assert "HEADRACE_NATS_URL: no broker answers there" in refused(*DAY, text=file())


def test_rules_with_errors_are_named_by_line(backfill: Any) -> None:
    found = backfill("--since", "1h", text='equipment_class = "x"\nversion = "y"\n')
    assert found.exit_code == 1
    assert "tried.toml:2: version" in found.output


def test_the_result_for_machines_is_complete(log: Any, backfill: Any, file: File) -> None:
    log.births()
    log.send(20, 90, 90, 90)
    text = file() + file().partition("[[rules]]")[2].join(("[[rules]]", "")).replace(
        '"hot"', '"cold"'
    ).replace('"Heat"', '"quantity:flow"')
    found = backfill(*DAY, "--json", text=text)
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert document["not_applied"] == [
        {"equipment": "riverside/R-1", "rule": "cold", "reason": "it has no quantity:flow"}
    ]
    assert document["stopped"] is False
    assert document["against"] == "the rules in force"
