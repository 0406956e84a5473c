"""`headrace bridge` hands on what it is given."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from typer.testing import CliRunner

from headrace.cli import app
from stream_processor.bridge import main


def test_options_are_settings_and_the_rest_is_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, str] = {}

    def run(environment: Mapping[str, str]) -> int:
        given.update(environment)
        return 0

    monkeypatch.setattr(main, "main", run)
    options = ["--host", "plant", "--port", "8883", "--site", "north", "--site", "south"]
    result = CliRunner().invoke(
        app,
        ["bridge", *options],
        env={"HEADRACE_BRIDGE_NAME": "line-4", "HEADRACE_BRIDGE_PORT": "1"},
    )

    assert result.exit_code == 0, result.output
    found = {name: text for name, text in given.items() if name.startswith("HEADRACE_BRIDGE")}
    assert found == {
        "HEADRACE_BRIDGE_HOST": "plant",
        "HEADRACE_BRIDGE_PORT": "8883",
        "HEADRACE_BRIDGE_SITES": "north,south",
        "HEADRACE_BRIDGE_NAME": "line-4",
    }


def test_a_value_that_cannot_be_used_is_named() -> None:
    result = CliRunner().invoke(app, ["bridge", "--mqtt-version", "4"])
    assert result.exit_code == 2
    assert "HEADRACE_BRIDGE_MQTT_VERSION" in result.output
