"""What the bridge is told from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_processor.bridge.settings import Settings
from stream_processor.settings import SettingsError


def test_defaults_run_on_a_laptop() -> None:
    settings = Settings.from_environment({})
    assert (settings.host, settings.port, settings.mqtt_version) == ("127.0.0.1", 1883, "5")
    assert settings.client_id == "headrace-bridge-plant"
    assert settings.sites == ()


def test_each_instance_of_a_shared_subscription_has_a_session_of_its_own() -> None:
    given = {"HEADRACE_BRIDGE_SHARE": "headrace", "HEADRACE_BRIDGE_INSTANCE": "two"}
    assert Settings.from_environment(given).client_id == "headrace-bridge-plant-two"


def test_secrets_are_not_shown() -> None:
    shown = Settings.from_environment(
        {
            "HEADRACE_BRIDGE_PASSWORD": "secret-1",
            "HEADRACE_BROKER_PASSWORD": "secret-2",
            "HEADRACE_NATS_URL": "nats://me:secret-3@log:4222",
        }
    ).redacted()
    assert "secret" not in str(shown)
    assert shown["nats_url"] == "nats://me:***@log:4222"


def test_sites_and_files() -> None:
    settings = Settings.from_environment(
        {
            "HEADRACE_BRIDGE_SITES": "north,south",
            "HEADRACE_BRIDGE_AUTHORITY": "/etc/ca.pem",
            "HEADRACE_BRIDGE_CERTIFICATE": "/etc/bridge.pem",
        }
    )
    assert settings.sites == ("north", "south")
    assert (settings.authority, settings.certificate) == (
        Path("/etc/ca.pem"),
        Path("/etc/bridge.pem"),
    )


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("HEADRACE_BRIDGE_PORT", "0"),
        ("HEADRACE_BRIDGE_PORT", "many"),
        ("HEADRACE_BRIDGE_NAME", "a/b"),
        ("HEADRACE_BRIDGE_NAME", "Größe"),
        ("HEADRACE_BRIDGE_INSTANCE", "a b"),
        ("HEADRACE_BRIDGE_INSTANCE", "x" * 61),
        ("HEADRACE_BRIDGE_SHARE", "+"),
        ("HEADRACE_BRIDGE_SITES", "north,so#th"),
        ("HEADRACE_BRIDGE_MQTT_VERSION", "3"),
        ("HEADRACE_BRIDGE_IN_FLIGHT", "0"),
        ("HEADRACE_BRIDGE_IN_FLIGHT", "65536"),
        ("HEADRACE_BRIDGE_LEASE", "-1"),
        ("HEADRACE_BRIDGE_LEASE", "nan"),
        ("HEADRACE_BRIDGE_CERTIFICATE", "bridge.pem"),
        ("HEADRACE_MQTT_CERTIFICATE", "bridge.pem"),
        ("HEADRACE_HOST_ID", "a.b"),
        ("HEADRACE_LOG_FORMAT", "xml"),
    ],
)
def test_what_cannot_be_used_is_named(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.from_environment({variable: text})
