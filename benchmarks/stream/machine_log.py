"""The log of one machine: payloads as an edge agent writes them."""

from __future__ import annotations

import numpy as np

from benchmarks.stream.block_features import BEARING_ORDERS, BLOCK, RATE_HZ, SHAFT_HZ, VANES
from edge_agent.v1.sparkplug_b_pb2 import DataType, Payload
from stream_processor.messages import Message

START_MS = 1_767_250_800_000
SITE, NODE, MACHINE = "bench", "gateway", "P-1"
FACTS = {
    "Nominal Speed": SHAFT_HZ,
    "Vane Count": VANES,
    **dict(
        zip(("BPFO Order", "BPFI Order", "BSF Order", "FTF Order"), BEARING_ORDERS, strict=True)
    ),
}


def _numbers(payload: Payload, **numbers: int) -> None:
    for name, value in numbers.items():
        payload.metrics.add(
            name=f"Headrace/{name.replace('_', ' ').title()}",
            datatype=DataType.DATA_TYPE_UINT64,
            long_value=value,
        )


def node_birth() -> bytes:
    """Return the birth of the gateway."""
    payload = Payload(timestamp=START_MS, seq=0)
    payload.metrics.add(name="bdSeq", datatype=DataType.DATA_TYPE_UINT64, long_value=1)
    _numbers(payload, boot_epoch=1, first_batch=1)
    return payload.SerializeToString()


def machine_birth(channels: int) -> bytes:
    """Return the birth of a machine with accelerometers."""
    payload = Payload(timestamp=START_MS)
    for n in range(channels):
        metric = payload.metrics.add(
            name=f"Vibration {n + 1}", alias=n + 1, datatype=DataType.DATA_TYPE_FLOAT_ARRAY
        )
        for key, text in (("engUnit", "m/s2"), ("quantity", "acceleration")):
            metric.properties.keys.append(key)
            metric.properties.values.add(type=12, string_value=text)
        metric.properties.keys.append("sampleRate")
        metric.properties.values.add(type=10, double_value=RATE_HZ)
    for name, text in (("Class", "centrifugal_pump"), ("Path", "a/b/c"), ("Clock", "simulated")):
        payload.metrics.add(
            name=f"Equipment/{name}", datatype=DataType.DATA_TYPE_STRING, string_value=text
        )
    for name, value in FACTS.items():
        payload.metrics.add(
            name=f"Equipment/{name}", datatype=DataType.DATA_TYPE_DOUBLE, double_value=value
        )
    return payload.SerializeToString()


def samples(channels: int, blocks: int) -> np.ndarray:
    """Return (blocks, channels, BLOCK) float32: noise on lines of the shaft."""
    random = np.random.default_rng(1)
    time_s = np.arange(blocks * BLOCK).reshape(blocks, 1, BLOCK) / RATE_HZ
    lines = np.sin(2 * np.pi * SHAFT_HZ * time_s) + 0.3 * np.sin(4 * np.pi * SHAFT_HZ * time_s)
    noise = random.normal(0.0, 0.5, (blocks, channels, BLOCK))
    return (lines + noise).astype(np.float32)


def log(found: np.ndarray) -> list[Message]:
    """Return births and a batch a block of `found` (blocks, channels, BLOCK)."""
    payloads = [
        (f"NBIRTH.{NODE}", node_birth()),
        (f"DBIRTH.{NODE}.{MACHINE}", machine_birth(found.shape[1])),
    ]
    for batch, block in enumerate(found, 1):
        start_ms = START_MS + (batch - 1) * BLOCK * 1000 // int(RATE_HZ)
        payload = Payload(timestamp=start_ms)
        for alias, part in enumerate(block, 1):
            payload.metrics.add(
                alias=alias,
                timestamp=start_ms,
                datatype=DataType.DATA_TYPE_FLOAT_ARRAY,
                bytes_value=part.astype("<f4").tobytes(),
            )
        _numbers(payload, boot_epoch=1, batch=batch)
        payloads.append((f"DDATA.{NODE}.{MACHINE}", payload.SerializeToString()))
    return [
        Message(f"tele.0.{SITE}.{what}", payload, n, START_MS + n * 320)
        for n, (what, payload) in enumerate(payloads, 1)
    ]
