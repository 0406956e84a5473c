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

    assert settings.drivers
    assert settings.max_unacknowledged == 2048


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
        ('edge_node = "n"', "site: ''"),
        (GOOD.replace('"n"', '"a/b"'), "edge_node: 'a/b'"),
        ('site = "s"\nedge_node = "n"', "drivers: at least one"),
        ("speed = 3\n" + GOOD, "speed: no such field"),
        ("health_interval_s = 0\n" + GOOD, "health_interval_s: 0"),
        ("health_interval_s = inf\n" + GOOD, "health_interval_s: inf"),
        ("max_unacknowledged = 1.5\n" + GOOD, "max_unacknowledged: 1.5"),
        ("spool_max_bytes = true\n" + GOOD, "spool_max_bytes: True"),
        (GOOD + "pace_hz = -1", r"drivers\[0\].pace_hz: -1"),
        (GOOD + "pace_hz = nan", r"drivers\[0\].pace_hz: nan"),
        (GOOD + "options = 3", r"drivers\[0\].options: not a table"),
        (GOOD + 'factory = "m:f"', r"drivers\[0\].factory"),
        (GOOD + "rate = 1", r"drivers\[0\].rate: no such field"),
        (GOOD.replace("recording", "magic"), r"drivers\[0\].kind: 'magic'"),
        (GOOD.replace("recording", "plugin"), r"drivers\[0\].factory: a plug-in needs one"),
        (GOOD + '[[drivers]]\nkind = "x"', r"drivers\[1\].kind: 'x'"),
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
