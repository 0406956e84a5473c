"""What a gateway file may say, and what it is told when it is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

import edge_agent.drivers.opcua as package
from edge_agent.drivers.opcua import Options, open_driver

DEVICE = {"tag": "P", "points": [{"name": "Flow", "node": "i=1"}]}
GOOD: dict[str, Any] = {"endpoint": "opc.tcp://plc:4840", "devices": [DEVICE]}


def options(**given: Any) -> Options:
    return msgspec.convert({**GOOD, **given}, Options)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"endpoint": "http://plc"}, "endpoint: 'http://plc' is not opc.tcp"),
        ({"endpoint": "opc.tcp://user:word@plc"}, "endpoint: "),
        ({"certificate": "c.pem"}, "certificate: and `private_key`"),
        ({"security": "sign"}, "certificate: is needed"),
        ({"server_thumbprint": "12"}, "server_thumbprint: is neither 40 nor 64"),
        ({"server_thumbprint": "1" * 40, "server_certificate": "c"}, "is named already"),
        ({"password_env": "A"}, "user: is needed"),
        ({"user": "u", "password_env": "A", "password_file": "B"}, "password_file: "),
        ({"block_s": 0.0123}, "block_s: is not a whole number"),
        ({"devices": [DEVICE, DEVICE]}, "devices: two have the tag 'P'"),
        ({"pasword": "x"}, "unknown field `pasword`"),
        ({"password": "secret"}, "unknown field `password`"),
        ({"queue_size": 0}, "Expected `int` >= 1"),
        (
            {"devices": [{"tag": "P", "points": [{"name": "F", "node": "Flow"}]}]},
            "node: 'Flow' is no node",
        ),
        (
            {"devices": [{"tag": "P", "points": [*DEVICE["points"], *DEVICE["points"]]}]},
            "points: two have the name 'Flow'",
        ),
        (
            {"devices": [{"tag": "P", "points": [{**DEVICE["points"][0], "sample_rate_hz": 0.3}]}]},
            r"devices\[0\]\.points\[0\]\.sample_rate_hz: 0\.3 makes neither",
        ),
        (
            {
                "devices": [
                    {
                        "tag": "P",
                        "points": [{**DEVICE["points"][0], "waveform": True, "writable": True}],
                    }
                ]
            },
            "writable: a waveform",
        ),
        ({"whole_machines": [{"node": "x"}]}, "node: 'x' is no node"),
        ({"whole_machines": [{"node": "i=1", "each": True, "tag": "P"}]}, "tag: machines of"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        options(**given)


def test_a_thumbprint_may_be_written_as_tools_show_it() -> None:
    shown = ":".join(["AB"] * 20)

    assert options(server_thumbprint=shown).pinned_thumbprint == "ab" * 20


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"devices": []}, "devices: name one"),
        ({"security": "sign", "certificate": "gone", "private_key": "gone"}, "certificate: gone"),
        ({"server_certificate": "gone.pem"}, "server_certificate: gone.pem: No such file"),
        ({"user": "u", "password_file": "gone"}, "password_file: gone"),
    ],
)
def test_a_file_that_is_missing_is_named_when_the_driver_is_opened(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        open_driver(options(**given))


def test_the_machines_are_known_without_the_server() -> None:
    (device,) = open_driver(options(endpoint="opc.tcp://no-such-host.invalid:4840")).devices()

    assert (device.tag, device.equipment_class, device.clock) == ("P", "other", "live")
    assert [channel.name for channel in device.channels] == ["Flow"]


def test_the_sample_is_right() -> None:
    sample = Path(package.__file__).with_name("sample.toml")
    drivers = tomllib.loads(sample.read_text())["drivers"]

    listed, whole = (msgspec.convert(driver["options"], Options) for driver in drivers)

    assert {driver["kind"] for driver in drivers} == {"opcua"}
    assert {point.waveform for point in listed.devices[0].points} == {True, False}
    assert whole.whole_machines[0].each
