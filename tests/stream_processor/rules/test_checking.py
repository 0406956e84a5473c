"""Every error of a rule file is named by its line, with what to do; the cases are data."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.rules.checking import LONGEST_TEXT, check
from stream_processor.rules.definitions import MOST_RULES, schema
from stream_processor.rules.rule_file import SHIPPED

CASES = Path(__file__).with_name("cases")
RULE = '[[rules]]\nid = "r{0}"\nkind = "model_score"\nscore = "edge"\nabove = 1\n'
WORDS = 'severity = "low"\nsummary = "s"\n'


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_a_file_is_explained_by_line(case: str) -> None:
    text = (CASES / case / "rules.toml").read_text(encoding="utf-8")

    file, problems = check(text)

    said = "".join(f"{problem.at('rules.toml')}\n" for problem in problems) or "good\n"
    assert said == (CASES / case / "expected.txt").read_text(encoding="utf-8")
    assert (file is None) == bool(problems)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_what_ships_is_good_and_named_after_its_class(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    file, problems = check(text)

    assert problems == []
    assert file is not None
    assert file.equipment_class == path.stem
    assert file.rules


def test_the_schema_takes_what_the_check_takes() -> None:
    import tomllib

    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(schema())))
    for path in (*SHIPPED.glob("*.toml"), CASES / "good" / "rules.toml"):
        assert list(validator.iter_errors(tomllib.loads(path.read_text()))) == []
    for case in ("unknown-key", "wrong-words", "wrong-types", "unknown-kind", "missing-keys"):
        text = (CASES / case / "rules.toml").read_text()
        assert list(validator.iter_errors(tomllib.loads(text))), case


def test_a_file_is_bounded() -> None:
    head = 'equipment_class = "pump"\nversion = 1\n'
    many = "".join(RULE.format(i) + WORDS for i in range(MOST_RULES + 1))
    assert [p.message for p in check(head + many)[1]] == [
        f"there are {MOST_RULES + 1} rules, more than {MOST_RULES}"
    ]
    long = head + "#" * LONGEST_TEXT
    assert "longer than" in check(long)[1][0].message


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_whatever_is_changed_gives_a_file_or_problems_with_lines(data: st.DataObject) -> None:
    text = (CASES / "good" / "rules.toml").read_text(encoding="utf-8")
    at = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 12))
    changed = text[:at] + data.draw(st.text(max_size=12)) + text[at + length :]

    file, problems = check(changed)

    assert (file is None) == bool(problems)
    assert all(0 <= problem.line <= changed.count("\n") + 2 for problem in problems)
    assert all(problem.message for problem in problems)
