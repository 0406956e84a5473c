"""The sample of a gateway file is good, whole, and says the defaults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from edge_agent import checking, settings
from edge_agent.settings import Gateway

SAMPLE = Path(__file__).parents[2] / "deploy/edge/gateway.toml"
EXAMPLE = re.compile(r"^# (?=\[|\w+ = )", re.MULTILINE)


def test_it_passes_the_check() -> None:
    assert checking.check(SAMPLE) == []


def test_its_examples_are_good_too() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    whole = settings.gateway_of(tomllib.loads(EXAMPLE.sub("", text)))

    assert [table.kind for table in whole.drivers] == ["plugin", "recording"]
    for name in ("analytics", "capture", "report", "writes"):
        assert len(getattr(whole, name)) == 1, name


def test_it_has_every_table() -> None:
    text = SAMPLE.read_text(encoding="utf-8")

    assert set(tomllib.loads(EXAMPLE.sub("", text))) == set(Gateway.__struct_encode_fields__)


@pytest.mark.parametrize("table", ["broker", "spool", "sparkplug", "updates", "fleet", "status"])
def test_it_has_every_field_with_its_default(table: str) -> None:
    document = tomllib.loads(SAMPLE.read_text(encoding="utf-8"))
    usual = {field.name: field.default for field in msgspec.structs.fields(Gateway)}

    # As JSON has it, whose arrays are of one kind.
    assert document[table] == msgspec.json.decode(msgspec.json.encode(usual[table]))
