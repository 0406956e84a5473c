"""A user's own driver is found, and told what it asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent import drivers
from edge_agent.checking import check
from edge_agent.drivers import OptionsError, plugin

SAMPLE = Path(plugin.__file__).with_name("sample.toml")
SCALE = "edge_agent.drivers.plugin.examples.serial_scale:create"
PLAIN = """
class Scale:
    def __init__(self, options):
        self.options = options

def create(options):
    if "tag" not in options:
        raise ValueError("tag: is needed")
    return Scale(options)
"""


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_plain_scale.py").write_text(PLAIN)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_plain_scale:create"


def test_a_factory_without_options_of_its_own_is_given_a_dict(plain: str) -> None:
    driver: Any = drivers.open_driver("plugin", {"factory": plain, "options": {"tag": "W-1"}})
    assert driver.options == {"tag": "W-1"}


def test_a_factory_with_options_of_its_own_is_given_those() -> None:
    given = {"port": "/dev/ttyUSB0", "tag": "W-1"}
    driver = drivers.open_driver("plugin", {"factory": SCALE, "options": given})
    (device,) = driver.devices()
    assert (device.tag, device.channels[0].unit) == ("W-1", "kg")


@pytest.mark.parametrize(
    ("factory", "options", "said"),
    [
        ("my_plain_scale", {}, "factory: 'my_plain_scale' is not of the form"),
        (":create", {}, "is not of the form"),
        ("no_such_module:create", {}, "factory: no_such_module:create: No module"),
        ("my_plain_scale:make", {}, "factory: my_plain_scale:make: "),
        ("my_plain_scale:create", {}, "tag: is needed"),
        (SCALE, {"port": "x"}, r"options\.tag: is missing"),
        (SCALE, {"port": "x", "tag": "W", "speed": 1}, r"options\.speed: no such field"),
        (SCALE, {"port": "x", "tag": "W", "baudrate": "1"}, r"options\.baudrate: Expected `int`"),
    ],
)
def test_what_is_wrong_is_named(
    plain: str, factory: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(OptionsError, match=said):
        drivers.open_driver("plugin", {"factory": factory, "options": options})


def test_the_sample_passes_the_check() -> None:
    assert check(SAMPLE) == []
