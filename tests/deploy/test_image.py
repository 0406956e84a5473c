"""The image's recipe keeps to what the deployments count on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "deploy/image/Dockerfile").read_text(encoding="utf-8")


def stages() -> dict[str, str]:
    parts = re.split(r"^FROM (\S+) AS (\S+)$", RECIPE, flags=re.M)[1:]
    return {
        name: f"{base}\n{text}"
        for base, name, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }


def test_what_runs_is_nobody_of_note_and_hears_signals() -> None:
    runtime = stages()["runtime"]

    assert "USER 10001:10001" in runtime
    assert 'ENTRYPOINT ["tini", "--"]' in runtime
    for name in ("cloud", "edge", "demo"):
        assert stages()[name].startswith("runtime\n")
        # The exec form: no shell stands between tini and the process.
        assert re.search(r'^CMD \["python", "-m", ', stages()[name], re.M)
        # What it was built with stays behind.
        assert "apt-get" not in stages()[name]
        assert "pip" not in stages()[name]


def test_stages_and_extras_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {e for group in re.findall(r"headrace\[([a-z,]+)\]", RECIPE) for e in group.split(",")}
    copied = set(re.findall(r"COPY --from=(\S+)", RECIPE))

    assert extras == {"cloud", "edge"}
    assert extras <= set(project["optional-dependencies"])
    assert copied <= set(stages())
    assert f"ARG VERSION={project['version']} " in RECIPE


def test_what_is_built_from_is_pinned() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^UV_VERSION := (\S+)$", makefile, re.M)
    assert found is not None

    assert f"uv=={found.group(1)}" in RECIPE
    bases = {base.splitlines()[0] for base in stages().values()} - set(stages())
    assert bases == {"python:3.12-slim-bookworm"}
    assert "--require-hashes -r requirements/dev.lock" in RECIPE
    assert RECIPE.count("--constraint requirements/dev.lock") == 3


def test_secrets_and_what_is_derived_stay_outside() -> None:
    path = ROOT / "deploy/image/Dockerfile.dockerignore"
    ignored = path.read_text(encoding="utf-8").split()

    assert {".git", ".venv", ".headrace", "**/node_modules", "**/.env"} <= set(ignored)
