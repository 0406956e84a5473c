"""Every error of a gateway file is explained, by its line."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from edge_agent import checking, drivers

ROOT = Path(__file__).parents[2]
SAMPLES = [
    *sorted((ROOT / "edge_agent" / "drivers").glob("*/sample.toml")),
    ROOT / "deploy" / "edge" / "gateway.toml",
]
BAD = """\
site = "s"
edge_node = "n"
speed = 3

[broker]
port = 70000
colour = "red"

[[drivers]]
kind = "recording"
rate = 1
[drivers.options]
path = 3

[[drivers]]
kind = "modbuss"

[[drivers]]
kind = "plugin"
factory = "json:loads"
pace_hz = [
  1,
  2,
]
"""


def problems(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    file = tmp_path / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return [(p.line, p.field) for p in checking.check(file)]


def test_every_error_is_found_at_its_line(tmp_path: Path) -> None:
    assert problems(tmp_path, BAD) == [
        (3, "speed"),
        (6, "broker.port"),
        (7, "broker.colour"),
        (11, "drivers[0].rate"),
        (13, "drivers[0].options.path"),
        (16, "drivers[1].kind"),
        (21, "drivers[2].pace_hz"),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [(1, "")] * 3),
        ('site = "s"\nedge_node = [', [(2, "")]),
        (
            'site = "s"\nedge_node = "a"\ndrivers = [{kind = "recording"}]',
            [(3, "drivers[0].options.path")],
        ),
        (
            'site = "s"\nedge_node = "a b"\n[[drivers]]\nkind = "recording"\noptions.path = "x"',
            [(2, "edge_node")],
        ),
        (
            'site = "s"\nedge_node = "a"\n[[drivers]]\nkind = "plugin"\n',
            [(3, "drivers[0].factory")],
        ),
        (
            'site = "s"\nedge_node = "a"\n[[drivers]]\nkind = "plugin"\nfactory = "no.such:thing"',
            [(5, "drivers[0].factory")],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(tmp_path: Path, text: str, found: list[tuple[int, str]]) -> None:
    assert problems(tmp_path, text) == found


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    (problem,) = checking.check(tmp_path / "gone.toml")

    assert "gone.toml" in problem.message


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: f"{p.parent.name}")
def test_every_sample_fits_the_schema(sample: Path) -> None:
    document = checking.settings.parse(sample)

    jsonschema.Draft202012Validator(checking.gateway_schema()).validate(document)


def test_the_schema_is_sound_and_knows_every_kind() -> None:
    schema = json.loads(json.dumps(checking.gateway_schema()))

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$defs"]["DriverTable"]["properties"]["kind"]["enum"] == list(drivers.KINDS)


def test_every_kind_has_a_readme_and_a_sample() -> None:
    for package in drivers.KINDS.values():
        folder = ROOT / Path(*package.split("."))
        assert (folder / "README.md").is_file()
        assert (folder / "sample.toml").is_file()


def test_lines_of_tables_strings_and_arrays() -> None:
    tables = "[c]\nd.e = 2\n[[f]]\ng = [\n  1,\n]\n[[f]]\n[f.h]\ni = 3\n[[f.j]]\nk = 4\n"
    text = f'a = """\nb = 1\n"""\n\n{tables}'

    assert checking.field_lines(text) == {
        ("a",): 1,
        ("c",): 5,
        ("c", "d"): 6,
        ("c", "d", "e"): 6,
        ("f",): 7,
        ("f", 0): 7,
        ("f", 0, "g"): 8,
        ("f", 1): 11,
        ("f", 1, "h"): 12,
        ("f", 1, "h", "i"): 13,
        ("f", 1, "j"): 14,
        ("f", 1, "j", 0): 14,
        ("f", 1, "j", 0, "k"): 15,
    }
