from __future__ import annotations

import subprocess
import sys

# In a process of its own: what other tests have compiled must not count.
PROGRAM = """
import pkgutil
from importlib import import_module
from numba.core.dispatcher import Dispatcher
from stream_processor import kernels

kernels.warm_up()
found = {}
for module in pkgutil.iter_modules(kernels.__path__, "stream_processor.kernels."):
    for name, value in vars(import_module(module.name)).items():
        # A private kernel is compiled into the public one that calls it.
        if isinstance(value, Dispatcher) and not name.startswith("_"):
            found[value.py_func.__module__ + "." + name] = value.signatures
assert len(found) > 20, found
cold = sorted(name for name, signatures in found.items() if not signatures)
print("cold:", cold)
"""


def test_every_kernel_of_the_package_is_warmed_up_and_progress_is_told():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "cold: []" in ran.stdout
    assert "event windows" in ran.stdout + ran.stderr
