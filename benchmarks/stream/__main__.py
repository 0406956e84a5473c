"""Run every part of the stream benchmark but the soak, one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# What the parts share, and what takes half an hour.
OTHERS = (
    "bench", "block_features", "load", "log", "machine_log", "pathway_windows", "plant",
    "processes", "soak", "__init__", "__main__",
)  # fmt: skip

if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem not in OTHERS:
            print(f"== {path.stem}", flush=True)
            subprocess.run([sys.executable, "-m", f"benchmarks.stream.{path.stem}"], check=False)
