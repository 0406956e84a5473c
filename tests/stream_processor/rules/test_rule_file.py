from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from stream_processor.rules.comparison import compare
from stream_processor.rules.problems import RuleFileError
from stream_processor.rules.rule_file import (
    NO_RULES,
    SHIPPED,
    RuleBook,
    in_shadow,
    read,
    rule_file,
    unpack,
)

PUMP = (SHIPPED / "centrifugal_pump.toml").read_text(encoding="utf-8")


def test_a_file_travels_as_its_text_and_is_one_object() -> None:
    file = rule_file(PUMP)
    assert rule_file(PUMP) is file
    assert pickle.loads(pickle.dumps(file)) is file
    assert unpack(file.packed) is file
    assert len(file.packed) < 1200
    assert unpack(NO_RULES.packed) is NO_RULES


def test_a_book_travels_as_its_texts() -> None:
    book = RuleBook.starting()
    again = pickle.loads(pickle.dumps(book))
    assert {n: f.version for n, f in again.files.items()} == {
        n: f.version for n, f in book.files.items()
    }
    assert again.of("centrifugal_pump") is book.of("centrifugal_pump")
    assert book.of("no such class") is NO_RULES


def test_a_newer_file_takes_the_place_of_its_class_only() -> None:
    book = RuleBook.starting()
    newer = rule_file(PUMP.replace("version = 1", "version = 2"))
    after = book.having(newer)
    assert after.of("centrifugal_pump").version == 2
    assert book.of("centrifugal_pump").version == 1
    assert after.of("fan") is book.of("fan")


def test_a_folder_with_an_error_or_a_class_twice_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "pump.toml").write_text(PUMP)
    (tmp_path / "again.toml").write_text(PUMP)
    with pytest.raises(RuleFileError, match=r"pump.toml:1: equipment_class: another file"):
        RuleBook.starting(tmp_path)
    (tmp_path / "again.toml").write_text('equipment_class = "fan"\nversion = "x"\n')
    with pytest.raises(RuleFileError, match=r"again.toml:2: version: a whole number"):
        RuleBook.starting(tmp_path)
    (tmp_path / "again.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RuleFileError, match=r"again.toml:0: it is no UTF-8"):
        read(tmp_path / "again.toml")


@pytest.mark.parametrize("head", ["", 'mode = "active"\n', '# why\nmode="active" # now\n'])
def test_a_file_in_shadow_differs_in_its_modes_only(head: str) -> None:
    file = rule_file(head + PUMP)
    shadow = rule_file(in_shadow(file.text))
    assert all(rule.shadow for rule in shadow.rules)
    changes = compare(file, shadow)
    assert {change.rule for change in changes} == {r.id for r in file.rules if not r.shadow}
    assert all(change.fields == {"mode": ("active", "shadow")} for change in changes)
    assert not any(change.judged for change in changes)


def test_what_changes_is_told_rule_by_rule() -> None:
    old = rule_file(PUMP)
    text = PUMP.replace("above = 8.5", "above = 9.0").replace("it runs dry", "it has no water")
    text = text.replace('id = "bearing-hot"', 'id = "bearing-warm"')
    changes = {c.rule: c for c in compare(old, rule_file(text))}
    assert {name: c.what for name, c in changes.items()} == {
        "vibration-zone-d": "changed",
        "bearing-warm": "added",
        "dry-running": "changed",
        "bearing-hot": "removed",
    }
    assert changes["vibration-zone-d"].fields == {"above": (8.5, 9.0)}
    assert changes["vibration-zone-d"].judged
    assert not changes["dry-running"].judged


def test_a_mode_that_is_declared_otherwise_changes_what_is_judged() -> None:
    changes = compare(rule_file(PUMP), rule_file(PUMP.replace("above = 600", "above = 700")))
    assert [c.rule for c in changes] == ["vibration-zone-d", "dry-running", "suction-lost"]
    assert all(c.judged for c in changes)
