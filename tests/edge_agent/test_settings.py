"""A gateway file is read, or the message names the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.settings import Settings, SettingsError, read

SAMPLE = Path(__file__).parents[2] / "deploy" / "edge" / "gateway.toml"
GOOD = 'site = "s"\nedge_node = "n"\n[[drivers]]\nkind = "recording"\n'


def given(tmp_path: Path, text: str, **environment: str) -> Settings:
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return read(path, environment)


def test_the_shipped_sample_is_good() -> None:
    settings = read(SAMPLE, {})

    assert settings.gateway.drivers
    assert settings.gateway.max_unacknowledged == 2048


def test_defaults_and_environment(tmp_path: Path) -> None:
    assert given(tmp_path, GOOD).mqtt_port == 1883

    settings = given(
        tmp_path,
        GOOD,
        HEADRACE_MQTT_HOST="broker",
        HEADRACE_MQTT_PORT="2883",
        HEADRACE_BROKER_PASSWORD="hush",
        HEADRACE_DATA_DIR="/d",
    )

    assert (settings.mqtt_host, settings.mqtt_port) == ("broker", 2883)
    assert settings.spool_path == Path("/d/edge/s/n.spool")
    assert "hush" not in repr(settings)
    assert settings.shown()["broker_password"] == "***"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('edge_node = "n"', "site: is missing"),
        (GOOD.replace('"n"', '"a/b"'), "edge_node: 'a/b'"),
        (GOOD.replace('"n"', '""'), "edge_node: ''"),
        ('site = "s"\nedge_node = "n"', "drivers: is missing"),
        ('site = "s"\nedge_node = "n"\ndrivers = []', "drivers: Expected `array` of length >= 1"),
        ("speed = 3\n" + GOOD, "speed: no such field"),
        ("health_interval_s = 0\n" + GOOD, "health_interval_s: Expected `float` > 0"),
        ("health_interval_s = inf\n" + GOOD, "health_interval_s: inf"),
        ("max_unacknowledged = 1.5\n" + GOOD, "max_unacknowledged: Expected `int`"),
        ("broker = { port = 70000 }\n" + GOOD, "broker.port: Expected `int` <= 65535"),
        ('broker = { key = "k" }\n' + GOOD, "broker.certificate: and `key` go together"),
        (GOOD + "pace_hz = -1", r"drivers\[0\].pace_hz: Expected `float` >= 0"),
        (GOOD + "pace_hz = nan", r"drivers\[0\].pace_hz: Expected"),
        (GOOD + "options = 3", r"drivers\[0\].options: Expected `object`"),
        (GOOD + 'factory = "m:f"', r"drivers\[0\].factory"),
        (GOOD + "rate = 1", r"drivers\[0\].rate: no such field"),
        (GOOD.replace("recording", "plugin"), r"drivers\[0\].factory: a plug-in needs one"),
        ("site = ", "gateway.toml: "),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        given(tmp_path, text)


@pytest.mark.parametrize("port", ["", "mqtt", "0", "65536", "-1"])
def test_a_wrong_port_is_named(tmp_path: Path, port: str) -> None:
    with pytest.raises(SettingsError, match="HEADRACE_MQTT_PORT"):
        given(tmp_path, GOOD, HEADRACE_MQTT_PORT=port)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.toml"):
        read(tmp_path / "gone.toml", {})
