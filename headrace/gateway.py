"""Write the gateway file of an agent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def _toml(value: Any) -> str:
    """Return a TOML value; JSON's are TOML's too, but for surrogate pairs and DEL."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def write(
    path: Path, site: str, edge_node: str, kind: str, options: Mapping[str, Any], **driver: Any
) -> Path:
    """Write a gateway file with one driver of `kind` and return its path."""
    lines = [
        f"site = {_toml(site)}",
        f"edge_node = {_toml(edge_node)}",
        "",
        "[[drivers]]",
        f"kind = {_toml(kind)}",
        *(f"{key} = {_toml(value)}" for key, value in driver.items()),
        "",
        "[drivers.options]",
        *(f"{key} = {_toml(value)}" for key, value in options.items() if value is not None),
        "",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
