"""Rolling mean, variance, minimum and maximum: one fused pass against four of bottleneck.

python -m benchmarks.kernels
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence

import bottleneck
import numba
import numpy as np
from rich.console import Console
from rich.table import Table

from stream_processor.kernels.blocks import block_moments
from stream_processor.kernels.rolling import rolling_into

SAMPLES = 1_000_000
WINDOWS = (64, 128, 256, 512, 1024, 2048, 4096)
ROUNDS = 15


def nanoseconds(works: Sequence[Callable[[], object]], samples: int) -> list[float]:
    """Return the best time of each over several rounds, a sample; they take turns."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for i, work in enumerate(works):
            began = time.perf_counter()
            work()
            best[i] = min(best[i], time.perf_counter() - began)
    return [seconds / samples * 1e9 for seconds in best]


def main() -> None:
    x = np.random.default_rng(1).normal(size=SAMPLES)
    table = Table("window", "fused, ns a sample", "bottleneck, ns a sample", "ratio")
    out = np.empty((5, SAMPLES))
    for window in WINDOWS:
        data = np.concatenate((np.full(window, np.nan), x))
        rolling_into(data, window, out)

        def fused(data: np.ndarray = data, window: int = window) -> None:
            rolling_into(data, window, out)

        def peer(window: int = window) -> None:
            bottleneck.move_mean(x, window, 1)
            bottleneck.move_var(x, window, 1)
            bottleneck.move_min(x, window, 1)
            bottleneck.move_max(x, window, 1)

        ours, theirs = nanoseconds((fused, peer), SAMPLES)
        table.add_row(str(window), f"{ours:.1f}", f"{theirs:.1f}", f"{theirs / ours:.1f}")
    versions = f"numba {numba.__version__}, bottleneck {bottleneck.__version__}"
    print(f"{platform.machine()}, Python {platform.python_version()}, {versions}")
    Console().print(table)

    block = x[:3200].copy()
    block_moments(block)

    def moments() -> None:
        centred = block - block.mean()
        square = centred * centred
        variance = square.mean()
        _ = (square * centred).mean() / variance**1.5, (square * square).mean() / variance**2
        _ = block.max() - block.min(), np.abs(centred).max() / variance**0.5

    many = 200

    def repeat(work: Callable[[], object]) -> Callable[[], None]:
        def loop() -> None:
            for _ in range(many):
                work()

        return loop

    works = (repeat(lambda: block_moments(block)), repeat(moments))
    ours, theirs = nanoseconds(works, many * block.size)
    print(f"moments of a block: {ours:.2f} ns a sample, numpy {theirs:.2f}, x{theirs / ours:.1f}")


if __name__ == "__main__":
    main()
