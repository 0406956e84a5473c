"""The path language."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.mqtt.paths import ALL, PathError, Step, find, leaves, parse, text_of

DOCUMENT = {
    "a": {"b": [1, 2, {"c": 3}], "d.e": 4, 'f"': 5, "*": 6, "": 7},
    "sensors": [{"id": "x", "v": 1.5}, {"id": "y"}, {"id": "z", "v": None}],
}
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4)
JSON = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=4), below),
    max_leaves=12,
)
STEPS = st.lists(st.text() | st.integers(-999_999_999, 999_999_999) | st.none(), max_size=6)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", [DOCUMENT]),
        ("a.b[0]", [1]),
        ("a.b[-1].c", [3]),
        ("a.b[2]", [{"c": 3}]),
        ("a.b[3]", []),
        ("a.b[-4]", []),
        ("a.b.c", []),
        ('a."d.e"', [4]),
        ('a."f\\""', [5]),
        ('a."*"', [6]),
        ('a.""', [7]),
        ("sensors[*].v", [1.5, None]),
        ("sensors[*].id", ["x", "y", "z"]),
        ("sensors.*.id", ["x", "y", "z"]),
        ("*[1].id", ["y"]),
        ("a[0]", []),
        ("nowhere.at.all", []),
    ],
)
def test_what_a_path_finds(path: str, found: list[Any]) -> None:
    assert find(DOCUMENT, parse(path)) == found


@pytest.mark.parametrize(
    "path", [".a", "a.", "a..b", "a[", "a[x]", "a[]", 'a."b', "a b", "a.[0]", "a]b", "a*", '"a"b']
)
def test_what_is_no_path_is_told_so(path: str) -> None:
    with pytest.raises(PathError, match="path "):
        parse(path)


@given(st.text(alphabet='ab.[]*"\\0-1 ', max_size=12))
def test_any_text_is_a_path_or_told_not_to_be(text: str) -> None:
    try:
        steps = parse(text)
    except PathError:
        return
    assert parse(text_of(steps)) == steps


@given(STEPS)
def test_a_path_written_and_read_is_the_same(steps: list[Step]) -> None:
    assert list(parse(text_of(steps))) == steps


@given(JSON)
def test_every_leaf_is_found_by_its_path(document: Any) -> None:
    for path, value in leaves(document):
        assert find(document, parse(path)) == [value]


@given(JSON, STEPS)
def test_nothing_but_what_is_in_the_document_is_found(document: Any, steps: list[Step]) -> None:
    found = find(document, steps)
    assert len(found) <= 1 or ALL in steps
