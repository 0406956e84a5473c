"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud_api.settings import Settings, SettingsError


def test_defaults_run_on_a_laptop() -> None:
    settings = Settings.from_environment({})
    assert settings.data_dir == Path(".headrace").absolute()
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8080)
    assert settings.database_url == f"sqlite:///{settings.data_dir}/headrace.db"
    assert settings.historian_url == f"duckdb:///{settings.data_dir}/historian.duckdb"


def test_no_secret_is_printed() -> None:
    settings = Settings.from_environment(
        {
            "HEADRACE_BROKER_PASSWORD": "first-secret",
            "HEADRACE_API_TOKEN": "second-secret-of-16",
            "HEADRACE_ADMIN_PASSWORD": "third-secret",
            "HEADRACE_DATABASE_URL": "postgresql+pg8000://plant:fourth-secret@db:5432/headrace",
            "HEADRACE_HISTORIAN_URL": "influxdb+http://plant:fifth-secret@influx:8086/headrace",
        }
    )
    shown = settings.redacted()
    assert "secret" not in "".join(shown.values())
    assert shown["database_url"] == "postgresql+pg8000://plant:***@db:5432/headrace"
    assert shown["api_token"] == "***"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEADRACE_HTTP_PORT", "http"),
        ("HEADRACE_GRPC_PORT", "70000"),
        ("HEADRACE_LOG_FORMAT", "xml"),
        ("HEADRACE_API_TOKEN", "short"),
        ("HEADRACE_HISTORIAN_RAW_DAYS", "a month"),
        ("HEADRACE_HISTORIAN_MINUTE_DAYS", "7"),
        ("HEADRACE_HISTORIAN_TOTAL_BYTES", "-1"),
    ],
)
def test_a_bad_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name.rpartition("_HISTORIAN_")[0] or name):
        Settings.from_environment({name: value})


def test_retention_of_the_historian() -> None:
    usual = Settings.from_environment({}).historian_retention
    assert (usual.raw_days, usual.minute_days, usual.hour_days) == (30, 366, 0)
    given = {"HEADRACE_HISTORIAN_RAW_DAYS": "7", "HEADRACE_HISTORIAN_WAVEFORM_BYTES": "1000"}
    kept = Settings.from_environment(given).historian_retention
    assert (kept.raw_days, kept.minute_days, kept.waveform_bytes) == (7, 366, 1000)
