"""Tumbling windows by Pathway: run by `pipeline` in an environment of its own.

    python pathway_windows.py SAMPLES.npy

It reads (blocks, channels, 1024) samples, has Pathway cut its rows into windows of 1,024 samples a
channel and compute the same features, and prints the seconds from its first row to its last window.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pathway as pw  # type: ignore[import-not-found]

sys.path.insert(0, str(Path(__file__).parent))
from block_features import BLOCK, block_features  # type: ignore[import-not-found]


def main() -> None:
    blocks = np.load(sys.argv[1])
    count, channels, _ = blocks.shape
    rows = [
        (channel, at, float(value))
        for channel in range(channels)
        for at, value in enumerate(blocks[:, channel].ravel())
    ]
    schema = pw.schema_from_types(channel=int, at=int, value=float)
    table = pw.debug.table_from_rows(schema, rows)
    found = []

    @pw.udf  # type: ignore[untyped-decorator]
    def features(at: np.ndarray, value: np.ndarray) -> np.ndarray:
        return np.asarray(block_features(value[np.argsort(at)]))

    windows = table.windowby(
        pw.this.at, window=pw.temporal.tumbling(duration=BLOCK), instance=pw.this.channel
    ).reduce(at=pw.reducers.ndarray(pw.this.at), value=pw.reducers.ndarray(pw.this.value))
    result = windows.select(features=features(pw.this.at, pw.this.value))
    pw.io.subscribe(result, on_change=lambda key, row, time, is_addition: found.append(row))
    begin = time.perf_counter()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    seconds = time.perf_counter() - begin
    assert len(found) == count * channels, f"{len(found)} windows of {count * channels}"
    total = float(np.sum([row["features"] for row in found]))
    print(f"{seconds} {total}")


main()
