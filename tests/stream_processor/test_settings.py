from __future__ import annotations

import pytest

from stream_processor.settings import Settings, SettingsError


def test_defaults_run_on_a_laptop() -> None:
    settings = Settings.from_environment({})
    assert settings.nats_url == "nats://127.0.0.1:4222"
    assert (settings.partitions, settings.snapshot_interval_s) == (4, 1.0)
    assert settings.metrics_port == 0
    assert settings.lateness_s == 0.0
    assert settings.recovery_dir(3).parts[-3:] == (".headrace", "recovery", "partition-3")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEADRACE_PARTITIONS", "0"),
        ("HEADRACE_PARTITIONS", "many"),
        ("HEADRACE_LATENESS_S", "-1"),
        ("HEADRACE_LATENESS_S", "inf"),
        ("HEADRACE_SNAPSHOT_INTERVAL", "0"),
        ("HEADRACE_SNAPSHOT_INTERVAL", "nan"),
        ("HEADRACE_MQTT_PORT", "70000"),
        ("HEADRACE_METRICS_PORT", "-1"),
        ("HEADRACE_TELEMETRY_MAX_BYTES", "1"),
        ("HEADRACE_LOG_FORMAT", "xml"),
    ],
)
def test_one_clear_error_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{value}'"):
        Settings.from_environment({name: value})


def test_a_certificate_needs_whom_to_trust() -> None:
    with pytest.raises(SettingsError, match="HEADRACE_MQTT_AUTHORITY"):
        Settings.from_environment({"HEADRACE_MQTT_CERTIFICATE": "processor.pem"})
    settings = Settings.from_environment({"HEADRACE_MQTT_AUTHORITY": "authority.pem"})
    assert settings.mqtt_authority is not None
    assert settings.mqtt_authority.is_absolute()
    assert settings.mqtt_certificate is None


def test_secrets_are_not_shown() -> None:
    shown = Settings.from_environment(
        {
            "HEADRACE_BROKER_PASSWORD": "hush",
            "HEADRACE_API_TOKEN": "hush",
            "HEADRACE_NATS_URL": "nats://user:hush@host:4222",
        }
    ).redacted()
    assert "hush" not in str(shown)
    assert shown["nats_url"] == "nats://user:***@host:4222"
