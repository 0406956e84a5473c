"""A scaffolded module passes every check."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from erp_modules.kernel.scaffold import new_module

ROOT = Path(__file__).parents[3]
NEEDED = (
    "buf.yaml",
    "deploy/nats/nats.conf",
    "erp_modules",
    "hatch_build.py",
    "headrace/__init__.py",
    "headrace/broker.py",
    "proto",
    "pyproject.toml",
    "stream_processor/__init__.py",
    "tests/conftest.py",
    "tests/erp_modules/conftest.py",
    "tests/erp_modules/test_checks.py",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what a module needs of the sources."""
    for name in NEEDED:
        source, target = ROOT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return tmp_path


def run(tree: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_a_new_module_passes_every_check_and_its_own_tests(tree: Path) -> None:
    written = new_module("quality_control", tree)
    assert Path("proto/erp_modules/quality_control/v1/quality_control.proto") in written

    python = [str(path) for path in written if path.suffix == ".py"]
    run(tree, "-m", "ruff", "check", *python)
    run(tree, "-m", "ruff", "format", "--check", *python)
    report = run(
        tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "quality_control",
        "tests/erp_modules/test_checks.py", "tests/erp_modules/quality_control",
    )  # fmt: skip
    assert " passed" in report
    subprocess.run(
        [str(Path(sys.executable).parent / "buf"), "lint", "proto"], cwd=tree, check=True
    )
    with pytest.raises(ValueError, match="already"):
        new_module("quality_control", tree)


@pytest.mark.parametrize("name", ["Quality", "quality control", "2d", "class", "", "a/b", "a" * 31])
def test_a_name_that_will_not_do_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="lower case"):
        new_module(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_elsewhere_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the tree"):
        new_module("quality", tmp_path)
    assert list(tmp_path.iterdir()) == []
