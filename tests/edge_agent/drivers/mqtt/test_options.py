"""What is wrong in a gateway file is said with its field."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge_agent import drivers, settings
from edge_agent.checking import check
from edge_agent.drivers import OptionsError, mqtt

SAMPLE = Path(mqtt.__file__).with_name("sample.toml")
CHANNEL = {"name": "V", "value": "v"}
GOOD: dict[str, Any] = {
    "broker": {"host": "localhost"},
    "devices": [{"tag": "A"}, {"tag": "B"}],
    "subscriptions": [{"topic": "x/+", "device": {"topic_level": 1}, "channels": [CHANNEL]}],
}


def with_subscription(**more: Any) -> dict[str, Any]:
    return {**GOOD, "subscriptions": [{**GOOD["subscriptions"][0], **more}]}


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({**GOOD, "broker": {"host": "h", "password_env": "X"}}, "broker.user"),
        ({**GOOD, "broker": {"host": "h", "clean_session": False}}, "broker.client_id"),
        ({**GOOD, "broker": {"host": "h", "tls": {"key": "k"}}}, "broker.tls.certificate"),
        ({**GOOD, "devices": [{"tag": "A"}, {"tag": "A"}]}, "devices"),
        ({**GOOD, "devices": [{"tag": "A"}, {"tag": "B", "key": "A"}]}, "devices"),
        (with_subscription(topic="x/#/y"), "subscriptions[0].topic"),
        (with_subscription(topic="x/a+"), "subscriptions[0].topic"),
        (with_subscription(items="a..b"), "subscriptions[0].items"),
        (with_subscription(device=None), "subscriptions[0].device"),
        (with_subscription(device={}), "subscriptions[0].device.tag"),
        (with_subscription(devices=["C"]), "subscriptions[0].devices"),
        (
            with_subscription(channels=[{**CHANNEL, "sample_rate_hz": 0.3}]),
            "subscriptions[0].channels[0].sample_rate_hz",
        ),
        (
            with_subscription(channels=[CHANNEL, {**CHANNEL, "unit": "bar"}]),
            "subscriptions[0].channels[1].unit",
        ),
        (
            {**GOOD, "commands": [{"name": "r", "topic": "x", "payload": "${worth}"}]},
            "commands[0].payload",
        ),
        (
            {**GOOD, "commands": [{"name": "r", "topic": "x/#", "payload": "1"}]},
            "commands[0].topic",
        ),
        ({**GOOD, "subscriptions": []}, "devices[0].tag"),
        ({**GOOD, "broker": {"host": "h", "user": "u", "password_env": "NOT_SET_AT_ALL"}}, ""),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], path: str) -> None:
    with pytest.raises(OptionsError) as caught:
        drivers.open_driver("mqtt", options)
    assert caught.value.path == path or str(caught.value).startswith(path)


def test_the_sample_passes_the_check() -> None:
    assert check(SAMPLE) == []
    document = tomllib.loads(SAMPLE.read_text())
    assert settings.gateway_of(document).drivers[0].kind == "mqtt"
