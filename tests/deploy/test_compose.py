"""The compose file is sound, and says to each process what that process understands."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloud_api.settings import Settings as ServerSettings
from edge_agent import settings as edge_settings
from stream_processor.settings import Settings as ProcessorSettings

FOLDER = Path(__file__).parents[2] / "deploy/compose"
INTERPOLATION = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")


def resolved(value: Any, environment: dict[str, str]) -> Any:
    """Return a document with its variables replaced as Compose does."""
    if isinstance(value, dict):
        return {key: resolved(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [resolved(each, environment) for each in value]
    if not isinstance(value, str):
        return value

    def of(found: re.Match[str]) -> str:
        name, kind, text = found.groups()
        if name in environment:
            return environment[name]
        assert kind == "-", f"{name} must be given"
        return str(text)

    return INTERPOLATION.sub(of, value)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `new-env` writes."""
    folder = tmp_path_factory.mktemp("compose")
    script = folder / "new-env"
    script.write_bytes((FOLDER / "new-env").read_bytes())
    subprocess.run(["sh", str(script)], check=True, timeout=60, capture_output=True)
    assert (folder / ".env").stat().st_mode & 0o077 == 0
    again = subprocess.run(
        ["sh", str(script)], check=False, timeout=60, capture_output=True, text=True
    )
    assert again.returncode == 1
    assert "already" in again.stderr
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture(scope="module")
def services(compose: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    return dict(resolved(compose, environment)["services"])


def test_the_specification_accepts_it(compose: dict[str, Any], environment: dict[str, str]) -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="compose-spec is not installed")
    compose_spec.PyCompose.from_json(json.dumps(resolved(compose, environment))).validate()


def test_there_is_no_way_to_start_without_secrets(compose: dict[str, Any]) -> None:
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    for name in ("PASSWORD", "TOKEN"):
        assert not re.search(rf"\$\{{[A-Z_]*{name}:-", text)
    with pytest.raises(AssertionError, match="must be given"):
        resolved(compose, {})


def test_secrets_are_long_and_fit_into_urls(environment: dict[str, str]) -> None:
    assert len(set(environment.values())) == len(environment)
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in environment.values())


def test_the_processes_take_their_settings(services: dict[str, Any], tmp_path: Path) -> None:
    server = ServerSettings.from_environment(services["cloud-api"]["environment"])
    assert server.database_url.startswith("postgresql+pg8000://headrace:")
    assert server.stream_replicas == len(server.nats_servers) == 3
    for process in (0, 1):
        told = services[f"processor-{process}"]["environment"]
        processor = ProcessorSettings.from_environment(told)
        assert (processor.process, processor.processes, processor.partitions) == (process, 2, 8)
        assert processor.nats_servers == server.nats_servers
        assert processor.host_id == ("headrace" if process == 0 else "")
        assert processor.api_token == server.api_token
    gateway = edge_settings.read(FOLDER / "plant.toml", services["plant"]["environment"])
    assert gateway.broker_password == server.broker_password


def test_four_processors_share_all_partitions(
    compose: dict[str, Any], environment: dict[str, str]
) -> None:
    services = resolved(compose, {**environment, "HEADRACE_PROCESSES": "4"})["services"]
    shares = [
        set(ProcessorSettings.from_environment(service["environment"]).own_partitions)
        for name, service in services.items()
        if name.startswith("processor-")
    ]

    assert sorted(p for share in shares for p in share) == list(range(8))


def test_every_variable_is_some_processs(
    services: dict[str, Any], known_variables: frozenset[str]
) -> None:
    for name, service in services.items():
        told = {v for v in service.get("environment", {}) if v.startswith("HEADRACE_")}
        assert told <= known_variables, name


def test_all_that_is_named_is_there(compose: dict[str, Any], services: dict[str, Any]) -> None:
    for item in (*compose["configs"].values(),):
        assert (FOLDER / item["file"]).is_file()
    for name, service in services.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            there = source in compose["volumes"] or (FOLDER / source).is_dir()
            assert there, f"{name}: {source}"
        assert set(service.get("depends_on", {})) <= set(services)
        for waited, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[waited]
        assert "latest" not in service["image"]


def test_nobody_has_more_rights_than_needed(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        if service["image"].startswith(("headrace", "nats")):
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name}: {port}"


def test_prometheus_reads_doors_that_are_there(yaml: Any, services: dict[str, Any]) -> None:
    path = FOLDER.parent / "prometheus/prometheus.yml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job for job in document["scrape_configs"]}
    for discovery in jobs["stream-processor"]["dns_sd_configs"]:
        assert set(discovery["names"]) == {n for n in services if n.startswith("processor-")}
        for name in discovery["names"]:
            told = services[name]["environment"]["HEADRACE_METRICS_PORT"]
            assert int(told) == discovery["port"]
    (static,) = jobs["cloud-api"]["static_configs"]
    assert static["targets"] == ["cloud-api:8080"]
    assert jobs["cloud-api"]["authorization"]["credentials_file"] == "/run/secrets/api_token"
    assert "api_token" in services["prometheus"]["secrets"]
    assert all((path.parent / name).is_file() for name in document["rule_files"])


def test_the_embedded_variant_needs_no_stores(yaml: Any, services: dict[str, Any]) -> None:
    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """With Compose's own tags."""

    Loader.add_constructor("!override", lambda loader, node: loader.construct_mapping(node, True))
    text = (FOLDER / "embedded.yaml").read_text(encoding="utf-8")
    changes = yaml.load(text, Loader)["services"]
    told = services["cloud-api"]["environment"] | changes["cloud-api"]["environment"]

    server = ServerSettings.from_environment(told)
    assert server.database_url.startswith("sqlite:///")
    assert server.historian_url.startswith("duckdb:///")
    assert set(changes["cloud-api"]["depends_on"]) == {"nats-0", "nats-1", "nats-2"}
