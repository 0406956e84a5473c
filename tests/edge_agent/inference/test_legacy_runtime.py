"""The models run on `tflite-runtime` too, in the environment of an old gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_agent.inference import MODELS
from edge_agent.inference.runtime import Int8Model

ROOT = Path(__file__).parents[3]
ANSWERS = """
import json, sys
import numpy as np
from pathlib import Path
from edge_agent.inference.runtime import Int8Model, runtime
answers = {}
for path in sorted(Path(sys.argv[1]).glob("*.tflite")):
    model = Int8Model(path)
    random = np.random.default_rng(7)
    inputs = random.normal(0, 2, (200, model.width)).astype(np.float32)
    answers[path.stem] = [model(row).tolist() for row in inputs]
print(json.dumps([runtime().__name__, answers]))
"""


@pytest.fixture(scope="module")
def old_gateway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with the extra `edge-legacy`."""
    if sys.version_info >= (3, 12):
        pytest.skip("tflite-runtime has no wheels for Python 3.12")
    folder = tmp_path_factory.mktemp("gateway")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    lock = ROOT / "requirements" / "edge-legacy.lock"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock],
        capture_output=True,
        text=True,
    )
    if installed.returncode != 0:
        pytest.skip(f"the old runtime cannot be installed here: {installed.stderr[-300:]}")
    return python


@pytest.mark.slow
def test_both_runtimes_give_the_same_bytes(old_gateway: Path) -> None:
    done = subprocess.run(
        [old_gateway, "-c", ANSWERS, MODELS],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    runtime, answers = json.loads(done.stdout.splitlines()[-1])

    assert runtime == "tflite_runtime.interpreter"
    assert answers
    for name, old in answers.items():
        model = Int8Model(MODELS / f"{name}.tflite")
        inputs = np.random.default_rng(7).normal(0, 2, (200, model.width)).astype(np.float32)
        new = np.array([model(row) for row in inputs])
        assert new.tobytes() == np.array(old, np.float32).tobytes(), name
