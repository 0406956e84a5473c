"""Bytes that the spool writes to the disk for 500 batches a second, by how they are collected."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.machine import describe
from edge_agent.store.spool import Batch, Spool

# A batch of ten slow channels takes about so many bytes.
RATE_HZ, SECONDS, READINGS, PAYLOAD_BYTES = 500, 60, 10, 250
TOPIC = "spBv1.0/bench/DDATA/gw/M-01"


def written() -> int:
    """Return the bytes that this process has handed to the file system."""
    text = Path("/proc/self/io").read_text()
    return int(text.partition("wchar:")[2].split()[0])


def bytes_written(folder: Path, interval_ms: int) -> int:
    """Return the bytes written for `SECONDS` of batches, acknowledged every second."""
    spool = Spool(folder / f"{interval_ms}.spool")
    epoch = spool.boot_epoch
    together = max(1, RATE_HZ * interval_ms // 1000)
    before = written()
    for first in range(1, RATE_HZ * SECONDS + 1, together):
        numbers = range(first, first + together)
        spool.append([Batch(epoch, n, TOPIC, bytes(PAYLOAD_BYTES)) for n in numbers])
        if numbers[-1] % RATE_HZ < together:
            # A second behind, as the processor is.
            spool.acknowledge(epoch, numbers[-1] - RATE_HZ)
    spool.close()
    return written() - before


def main() -> None:
    print(describe())
    payload, readings = RATE_HZ * SECONDS * PAYLOAD_BYTES, RATE_HZ * SECONDS * READINGS
    print(
        f"{RATE_HZ} batches/s of {READINGS} readings in {PAYLOAD_BYTES} bytes for {SECONDS} s, "
        "acknowledged after 1 s"
    )
    with tempfile.TemporaryDirectory() as name:
        peer = bytes_written(Path(name), 0)
        for interval_ms in (0, 100, 1000):
            given = peer if interval_ms == 0 else bytes_written(Path(name), interval_ms)
            print(
                f"commit_interval_ms = {interval_ms}: {given / (1 << 20):.1f} MiB written, "
                f"{given / readings:.0f} bytes a reading, "
                f"{given / payload:.1f} bytes for a byte of payload, "
                f"{given / peer:.2f} of a commit a batch"
            )


if __name__ == "__main__":
    main()
