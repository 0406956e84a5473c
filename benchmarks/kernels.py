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
from stream_processor.kernels.rolling import rolling_devices, rolling_into, scratch_size
from stream_processor.kernels.rolling_exact import COUNT, STATISTICS

SAMPLES = 1_000_000
WINDOWS = (64, 128, 256, 512, 1024, 2048, 4096)
ROUNDS = 7
DEVICES = 10_000

Array = np.ndarray
Work = Callable[[], object]


def nanoseconds(works: Sequence[Work], samples: int) -> list[float]:
    """Return the best time of each over several rounds, a sample; they take turns."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for i, work in enumerate(works):
            began = time.perf_counter()
            work()
            best[i] = min(best[i], time.perf_counter() - began)
    return [seconds / samples * 1e9 for seconds in best]


def rolling_peers(x: Array, window: int) -> dict[str, Callable[[], list[Array]]]:
    """Return the four statistics by each peer; pandas only where it is installed."""
    column = polars.Series(x, nan_to_null=True)

    def by_bottleneck() -> list[Array]:
        return [
            bottleneck.move_mean(x, window, 1),
            bottleneck.move_var(x, window, 1),
            bottleneck.move_min(x, window, 1),
            bottleneck.move_max(x, window, 1),
        ]

    def by_polars() -> list[Array]:
        return [
            column.rolling_mean(window, min_samples=1),
            column.rolling_var(window, min_samples=1, ddof=0),
            column.rolling_min(window, min_samples=1),
            column.rolling_max(window, min_samples=1),
        ]

    peers = {"bottleneck": by_bottleneck, "polars": by_polars}
    if find_spec("pandas") is not None:
        rows = import_module("pandas").Series(x)

        def by_pandas() -> list[Array]:
            rolling = rows.rolling(window, min_periods=1)
            return [rolling.mean(), rolling.var(ddof=0), rolling.min(), rolling.max()]

        peers["pandas"] = by_pandas
    return peers


def rolling(title: str, x: Array, windows: Sequence[int]) -> None:
    """Print the four statistics by all, at each window, and what else the kernel makes."""
    names = list(rolling_peers(x, 2))
    ours = ("fused", "new arrays", f"all {STATISTICS}")
    table = Table("window", *ours, *names, title=f"{title}, ns a sample")
    four, ten = np.empty((COUNT, x.size)), np.empty((STATISTICS, x.size))
    for window in windows:
        data = np.concatenate((np.full(window, np.nan), x))
        scratch = np.empty(scratch_size(window))

        def into(
            out: Array | None, data: Array = data, window: int = window, scratch: Array = scratch
        ) -> None:
            rolling_into(data, window, scratch, np.empty(four.shape) if out is None else out)

        peers = rolling_peers(x, window)
        into(ten)
        into(four)
        for name, peer in peers.items():
            for mine, theirs in zip(four, peer(), strict=True):
                if not np.allclose(mine, np.asarray(theirs), rtol=1e-6, equal_nan=True):
                    raise AssertionError(f"{name} has other statistics at window {window}")
        works = (lambda: into(four), lambda: into(None), lambda: into(ten), *peers.values())
        fused, new, all_of_them, *theirs = nanoseconds(works, x.size)
        table.add_row(
            str(window),
            *(f"{t:.1f}" for t in (fused, new, all_of_them)),
            *(f"{t:.1f} (x{t / fused:.1f})" for t in theirs),
        )
    Console().print(table)


def tumbling(x: Array) -> None:
    """Print the tumbling feature set in blocks of 1,024 beside a copy of the same bytes."""
    blocks = x[: x.size // 1024 * 1024].reshape(-1, 1024)
    copied, kept = np.empty_like(blocks), np.empty(1024)
    out = np.empty((len(blocks), features.FEATURES))

    def ours() -> None:
        for row, block in enumerate(blocks):
            features.tumble(block, kept, out[row])

    ours()
    set_of, copy = nanoseconds((ours, lambda: np.copyto(copied, blocks)), blocks.size)
    print(
        f"tumbling set of {features.FEATURES}: {set_of:.2f} ns a sample, x{set_of / copy:.1f} copy"
    )


def devices(block: int, window: int) -> None:
    """Print the update of many devices by a block each beside a copy of the blocks."""
    x = np.random.default_rng(2).normal(size=(DEVICES, block))
    rows, copied = np.arange(DEVICES), np.empty_like(x)
    at = np.tile(np.arange(block), (DEVICES, 1))
    windows = EventWindows.empty(DEVICES, window, 2 * window + block)
    found = np.empty((DEVICES, features.FEATURES))

    def by_event_time() -> None:
        at[:] += block
        windows.update(rows, at, x, found)

    tails, data = np.full((DEVICES, window), np.nan), np.empty(window + block)
    scratch, out = np.empty(scratch_size(window)), np.empty((DEVICES, COUNT, block))

    def by_sample() -> None:
        rolling_devices(rows, x, window, tails, data, scratch, out)

    by_event_time()
    by_sample()
    works = (by_event_time, by_sample, lambda: np.copyto(copied, x))
    events, samples, copy = nanoseconds(works, DEVICES)
    print(f"{DEVICES} devices, a block of {block} each, windows of {window}, ns a device's block:")
    print(f"  {features.FEATURES} features by event time {events:.0f}, x{events / copy:.1f} copy")
    print(f"  rolling statistics at each sample {samples:.0f}, x{samples / copy:.1f} copy")


def moments(block: Array) -> None:
    """Print the moments of a block beside the same by NumPy."""
    block_moments(block)

    def by_numpy() -> None:
        centred = block - block.mean()
        square = centred * centred
        variance = square.mean()
        _ = (square * centred).mean() / variance**1.5, (square * square).mean() / variance**2
        _ = block.max() - block.min(), np.abs(centred).max() / variance**0.5

    many = 200

    def repeat(work: Work) -> Work:
        def loop() -> None:
            for _ in range(many):
                work()

        return loop

    works = (repeat(lambda: block_moments(block)), repeat(by_numpy))
    ours, theirs = nanoseconds(works, many * block.size)
    print(f"moments of a block: {ours:.2f} ns a sample, numpy {theirs:.2f}, x{theirs / ours:.1f}")


def main() -> None:
    x = np.random.default_rng(1).normal(size=SAMPLES)
    gaps = np.where(np.random.default_rng(2).random(SAMPLES) < 0.01, np.nan, x)
    versions = ("numba", "numpy", *rolling_peers(x, 2))
    told = ", ".join(f"{name} {version(name)}" for name in versions)
    print(f"{platform.machine()}, Python {platform.python_version()}, {told}")
    title = "Rolling mean, variance, minimum and maximum"
    rolling(title, x, WINDOWS)
    rolling(f"{title}, 1 % NaN", gaps, (64, 512, 4096))
    tumbling(x)
    devices(block=16, window=64)
    devices(block=1024, window=1024)
    moments(x[:3200].copy())


if __name__ == "__main__":
    main()
