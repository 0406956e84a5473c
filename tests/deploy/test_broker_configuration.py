"""The broker takes its configuration with exactly what manifests and compose file tell it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from headrace.broker import executable

ROOT = Path(__file__).parents[2]
# What could be taken for a number by whoever reads it as configuration.
SECRETS = {"HEADRACE_BROKER_USER": "headrace", "HEADRACE_BROKER_PASSWORD": "12345678e9"}


def accepts(configuration: Path, environment: dict[str, str]) -> None:
    """Let the broker's own check read a configuration."""
    ended = subprocess.run(
        [executable(), "-t", "--config", str(configuration)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def told(objects: list[dict[str, Any]]) -> tuple[str, dict[str, str]]:
    """Return the broker's configuration and what its first pod's container is told."""
    (pods,) = (o for o in objects if o["kind"] == "StatefulSet" and o["metadata"]["name"] == "nats")
    files = {o["metadata"]["name"]: o["data"] for o in objects if o["kind"] == "ConfigMap"}
    (volume,) = (
        v for v in pods["spec"]["template"]["spec"]["volumes"] if v["name"] == "configuration"
    )
    container = pods["spec"]["template"]["spec"]["containers"][0]
    assert container["name"] == "nats"
    environment: dict[str, str] = {}
    for variable in container["env"]:
        source = variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            value = SECRETS[source["secretKeyRef"]["key"]]
        elif "configMapKeyRef" in source:
            reference = source["configMapKeyRef"]
            value = files[reference["name"]][reference["key"]]
        elif "fieldRef" in source:
            value = "nats-0"
        else:
            # Only what was told before counts, as the cluster has it.
            value = re.sub(
                r"\$\((\w+)\)", lambda found: environment[found.group(1)], variable["value"]
            )
        environment[variable["name"]] = value
    return files[volume["configMap"]["name"]]["nats.conf"], environment


@pytest.mark.parametrize("overlay", ["laptop", "plant"])
def test_in_a_cluster(
    rendered: Callable[[str], list[dict[str, Any]]], overlay: str, tmp_path: Path
) -> None:
    text, environment = told(rendered(overlay))
    configuration = tmp_path / "nats.conf"
    configuration.write_text(text.replace('"/data"', f'"{tmp_path}"'))

    accepts(configuration, environment)


def test_with_certificates(rendered: Callable[[str], list[dict[str, Any]]], tmp_path: Path) -> None:
    text, environment = told(rendered("ha"))
    subprocess.run(
        [sys.executable, "-m", "headrace.cli", "fleet", "broker", "mqtt.example", "mqtts"],
        env={**os.environ, **SECRETS, "HEADRACE_DATA_DIR": str(tmp_path)},
        check=True,
        timeout=120,
        capture_output=True,
    )
    folder = tmp_path / "broker"
    (tmp_path / "etc/nats").mkdir(parents=True)
    configuration = tmp_path / "etc/nats/nats.conf"
    configuration.write_text(
        text.replace("../../var/lib/headrace/broker", "../../broker")
        .replace('"/var/lib/headrace/broker', f'"{folder}')
        .replace('"/data"', f'"{tmp_path}"')
    )

    accepts(configuration, environment)


def test_of_the_compose_file(compose: dict[str, Any], tmp_path: Path) -> None:
    for name in ("nats-0", "nats-1", "nats-2"):
        environment = {
            key: re.sub(r"\$\{[^}]*\}", SECRETS["HEADRACE_BROKER_PASSWORD"], value)
            for key, value in compose["services"][name]["environment"].items()
        }
        assert environment["HEADRACE_NATS_NAME"] == name
        configuration = ROOT / "deploy/compose" / compose["configs"]["nats"]["file"]
        accepts(configuration, environment | {"HEADRACE_NATS_STORE": f'"{tmp_path}"'})


def test_servers_that_start_together_make_one_authority(
    rendered: Callable[[str], list[dict[str, Any]]], tmp_path: Path
) -> None:
    (server,) = (
        o
        for o in rendered("ha")
        if o["kind"] == "Deployment" and o["metadata"]["name"] == "cloud-api"
    )
    (container,) = server["spec"]["template"]["spec"]["initContainers"]
    command = [part.replace("/var/lib/headrace", str(tmp_path)) for part in container["command"]]
    command[command.index("python")] = sys.executable
    with ThreadPoolExecutor(3) as starts:
        ended = list(
            starts.map(
                lambda _: subprocess.run(command, cwd=ROOT, timeout=120, check=False), range(3)
            )
        )

    assert [each.returncode for each in ended] == [0, 0, 0]
    made = (tmp_path / "authority/authority.pem").read_bytes()
    assert subprocess.run(command, cwd=ROOT, timeout=120, check=False).returncode == 0
    assert (tmp_path / "authority/authority.pem").read_bytes() == made
