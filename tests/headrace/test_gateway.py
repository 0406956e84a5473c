"""A gateway file is the TOML that the agent reads."""

from __future__ import annotations

import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from headrace import gateway


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=30))
def test_any_text_survives(tmp_path_factory: object, text: str) -> None:
    folder = tmp_path_factory.mktemp("gateway")  # type: ignore[attr-defined]

    path = gateway.write(folder / "g.toml", "site", "gw", "recording", {"path": text, "rows": 3})

    read = tomllib.loads(path.read_text(encoding="utf-8"))
    assert read["drivers"] == [{"kind": "recording", "options": {"path": text, "rows": 3}}]


def test_options_without_a_value_are_left_out(tmp_path: Path) -> None:
    path = gateway.write(tmp_path / "g.toml", "s", "n", "plugin", {"a": None, "b": True}, f="m:f")

    read = tomllib.loads(path.read_text(encoding="utf-8"))
    assert read["drivers"] == [{"kind": "plugin", "f": "m:f", "options": {"b": True}}]
