"""Rolling statistics against bottleneck, polars and pandas; the tumbling set against a copy.

python -m benchmarks.kernels
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

import bottleneck
import numpy as np
import polars
from rich.console import Console
from rich.table import Table

from stream_processor.kernels import features
from stream_processor.kernels.blocks import block_moments
from stream_processor.kernels.event_windows import EventWindows
from stream_processor.kernels.rolling import rolling_into

SAMPLES = 1_000_000
WINDOWS = (64, 128, 256, 512, 1024, 2048, 4096)
ROUNDS = 5


def nanoseconds(works: Sequence[Callable[[], object]], samples: int) -> list[float]:
    """Return the best time of each over several rounds, a sample; they take turns."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for i, work in enumerate(works):
            began = time.perf_counter()
            work()
            best[i] = min(best[i], time.perf_counter() - began)
    return [seconds / samples * 1e9 for seconds in best]


def rolling_peers(x: np.ndarray, window: int) -> dict[str, Callable[[], object]]:
    """Return the four statistics by each peer; pandas only where it is installed."""
    column = polars.Series(x)

    def by_bottleneck() -> None:
        bottleneck.move_mean(x, window, 1)
        bottleneck.move_var(x, window, 1)
        bottleneck.move_min(x, window, 1)
        bottleneck.move_max(x, window, 1)

    def by_polars() -> None:
        column.rolling_mean(window, min_samples=1)
        column.rolling_var(window, min_samples=1, ddof=0)
        column.rolling_min(window, min_samples=1)
        column.rolling_max(window, min_samples=1)

    peers: dict[str, Callable[[], object]] = {"bottleneck": by_bottleneck, "polars": by_polars}
    if find_spec("pandas") is not None:
        rows = import_module("pandas").Series(x)

        def by_pandas() -> None:
            rolling = rows.rolling(window, min_periods=1)
            rolling.mean()
            rolling.var(ddof=0)
            rolling.min()
            rolling.max()

        peers["pandas"] = by_pandas
    return peers


def tumbling(x: np.ndarray) -> None:
    """Print the tumbling feature set in blocks of 1,024 beside a copy of the same bytes."""
    blocks = x[: x.size // 1024 * 1024].reshape(-1, 1024)
    copied, kept = np.empty_like(blocks), np.empty(1024)
    out = np.empty((len(blocks), features.FEATURES))

    def ours() -> None:
        for row, block in enumerate(blocks):
            features.tumble(block, kept, out[row])

    windows = EventWindows.empty(len(blocks), 1024, 2048)
    devices, at = np.arange(len(blocks)), np.tile(np.arange(1024), (len(blocks), 1))

    def by_devices() -> None:
        at[:] += 1024
        windows.update(devices, at, blocks, out)

    ours()
    by_devices()
    set_of, batch, copy = nanoseconds(
        (ours, by_devices, lambda: np.copyto(copied, blocks)), blocks.size
    )
    print(
        f"tumbling set of {features.FEATURES}: {set_of:.2f} ns a sample, x{set_of / copy:.1f} copy"
    )
    print(f"windows by event time, a block a device: {batch:.2f} ns a sample, x{batch / copy:.1f}")


def main() -> None:
    x = np.random.default_rng(1).normal(size=SAMPLES)
    names = list(rolling_peers(x, 2))
    table = Table("window", "fused, ns a sample", *(f"{name}, ns (ratio)" for name in names))
    out = np.empty((5, SAMPLES))
    for window in WINDOWS:
        data = np.concatenate((np.full(window, np.nan), x))
        rolling_into(data, window, out)

        def fused(data: np.ndarray = data, window: int = window) -> None:
            rolling_into(data, window, out)

        ours, *theirs = nanoseconds((fused, *rolling_peers(x, window).values()), SAMPLES)
        table.add_row(str(window), f"{ours:.1f}", *(f"{t:.1f} (x{t / ours:.1f})" for t in theirs))
    versions = ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", *names))
    print(f"{platform.machine()}, Python {platform.python_version()}, {versions}")
    Console().print(table)
    tumbling(x)

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
