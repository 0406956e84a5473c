"""Write a new module that passes every check, to be changed into what it shall be."""

from __future__ import annotations

import keyword
import os
import re
import subprocess
import sys
from pathlib import Path
from string import Template

_TEMPLATES = Path(__file__).parent / "template"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LINTED = re.compile(
    r'^(?:forbidden_)?modules = \[.*"erp_modules\.(?!kernel)\w+".*\]$', re.MULTILINE
)
_LAST = re.compile(r'(.*"erp_modules\.(?!kernel)\w+")')


def new_module(name: str, root: Path) -> list[Path]:
    """Write contract, module, first migration and tests of `name` into the tree `root`.

    Returns the files written or changed, relative to `root`.

    Raises:
        ValueError: the name will not do, the module exists, or `root` is not the tree.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > 30:
        raise ValueError(f"{name!r}: name a module in lower case, words joined by _, at most 30")
    if not (root / "erp_modules" / "kernel").is_dir() or not (root / "hatch_build.py").is_file():
        raise ValueError(f"{root} is not the tree of the sources: run it there")
    folder = root / "erp_modules" / name
    contract = root / "proto" / "erp_modules" / name / "v1" / f"{name}.proto"
    if folder.exists() or contract.exists():
        raise ValueError(f"{name}: there is such a module already")

    words = name.replace("_", " ")
    first, *others = name.split("_")
    values = {
        "module": name,
        "words": words,
        "title": words.capitalize(),
        "collection": first + "".join(word.capitalize() for word in others) + "Records",
    }
    written = []
    for template in sorted(_TEMPLATES.glob("*.txt")):
        target = folder / template.stem
        if template.stem == "contract.proto":
            target = contract
        elif template.stem.startswith("test_"):
            target = root / "tests" / "erp_modules" / name / template.stem
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(template.read_text()).substitute(values))
        written.append(target)
    written += _tell_the_import_linter(name, root)

    _run(root, str(root / "hatch_build.py"), "stubs")
    for order in (["format"], ["check", "--fix"], ["format"]):
        _run(root, "-m", "ruff", *order, "--quiet", *_python(written))
    _run(root, "-m", "erp_modules.kernel.migrate", name, "records")
    written += sorted((folder / "migrations").glob("*.py"))
    return [path.relative_to(root) for path in written]


def _tell_the_import_linter(name: str, root: Path) -> list[Path]:
    path = root / "pyproject.toml"
    text = path.read_text()
    changed = _LINTED.sub(lambda m: _LAST.sub(rf'\1, "erp_modules.{name}"', m[0], count=1), text)
    if changed == text:
        raise ValueError(f"{path.name}: the contract that keeps modules apart was not found")
    path.write_text(changed)
    return [path]


def _python(paths: list[Path]) -> list[str]:
    return [str(path) for path in paths if path.suffix == ".py"]


def _run(root: Path, *arguments: str) -> None:
    # A process of its own: this one has loaded contracts and tables without the new ones.
    subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
