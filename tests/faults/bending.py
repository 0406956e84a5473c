"""Make inputs that are almost good ones: bent in their structure, torn in their bytes, or noise."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from edge_agent.v1 import sparkplug_b_pb2 as pb

Bend = Callable[[random.Random, bytes], bytes]
EDGES = (0, 1, 127, 128, 255, 256, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
NUMBERS = (0.0, -0.0, 1e308, float("nan"), float("inf"))
TEXTS = ("", "\0", "é" * 40, "x" * 300, "a.b", "s/+")
# What a number, a text or a time may be replaced by in a text file.
WORDS = (
    "", "0", "-1", "1e999", "nan", "-inf", "9" * 30, "null", "true", '""', "[]", "{}", "é", "\0",
    "[" * 1200, '{"a":' * 1200, "0001-01-01T00:00:00+23:59", "9999-12-31 23:59:59", '"' * 3, "\n",
)  # fmt: skip
_WORD = re.compile(rb"[\w.+:-]+")


@dataclass(frozen=True)
class Decoder:
    """What takes bytes from outside, valid ones of them, and how it refuses others."""

    name: str
    decode: Callable[[bytes], object]
    seeds: Sequence[bytes]
    refuses: tuple[type[Exception], ...] = ()
    # How its inputs are bent in their structure, when that is more than bytes.
    bend: Bend | None = field(default=None)

    def malformed(self, rng: random.Random) -> bytes:
        """Return an input, of which some are good."""
        seed = rng.choice(self.seeds)
        kind = rng.randrange(10)
        if kind == 0:
            return seed
        if kind == 1:
            return rng.randbytes(rng.randrange(200))
        if kind < 6 and self.bend is not None:
            return self.bend(rng, seed)
        if kind < 8 and self.bend is not None:
            return tear(rng, self.bend(rng, seed))
        return tear(rng, seed)


def tear(rng: random.Random, content: bytes) -> bytes:
    """Return bytes that were damaged."""
    torn = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        place = rng.randrange(len(torn) + 1)
        match rng.randrange(5):
            case 0:
                del torn[place:]
            case 1 if place < len(torn):
                torn[place] ^= 1 << rng.randrange(8)
            case 2:
                torn[place:place] = rng.randbytes(rng.randrange(1, 9))
            case 3:
                torn[place:place] = struct.pack("<Q", rng.choice(EDGES))
            case _:
                del torn[place : place + rng.randrange(1, 9)]
    return bytes(torn)


def bend_bytes(rng: random.Random, content: bytes) -> bytes:
    """Return as many bytes, some of them others: what says how long it is stays true more often."""
    bent = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        bent[rng.randrange(len(bent))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    return bytes(bent)


def bend_text(rng: random.Random, content: bytes) -> bytes:
    """Return JSON, TOML or CSV with other words here and there."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        words = list(_WORD.finditer(content))
        if not words:
            break
        one = rng.choice(words)
        other = rng.choice((*WORDS, None, None))
        new = rng.choice(words)[0] if other is None else other.encode()
        content = content[: one.start()] + new + content[one.end() :]
    return content


def bend_message(of: type[Message]) -> Bend:
    """Return what changes fields of a message of a type, at any depth."""

    def bend(rng: random.Random, content: bytes) -> bytes:
        message = of.FromString(content)
        for _ in range(rng.choice((1, 1, 2, 5))):
            _bend_field(rng, _somewhere(rng, message))
        return message.SerializeToString()

    return bend


def _somewhere(rng: random.Random, message: Message) -> Message:
    below: list[Message] = []
    for descriptor, value in message.ListFields():
        if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
            entry = descriptor.message_type.GetOptions().map_entry
            below += [] if entry else list(value) if descriptor.is_repeated else [value]
    return _somewhere(rng, rng.choice(below)) if below and rng.random() < 0.6 else message


def _bend_field(rng: random.Random, message: Message) -> None:
    descriptor = rng.choice(message.DESCRIPTOR.fields)
    if rng.random() < 0.2:
        message.ClearField(descriptor.name)
        return
    held = getattr(message, descriptor.name)
    if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
        if descriptor.message_type.GetOptions().map_entry:
            message.ClearField(descriptor.name)
        elif descriptor.is_repeated:
            held.add().CopyFrom(rng.choice(held) if held else held.add())
        else:
            held.SetInParent()
        return
    value = _value(rng, descriptor)
    if not descriptor.is_repeated:
        setattr(message, descriptor.name, value)
    elif held and rng.random() < 0.5:
        held[rng.randrange(len(held))] = value
    else:
        held.append(value)


def _value(rng: random.Random, descriptor: FieldDescriptor) -> object:
    kinds = FieldDescriptor
    match descriptor.cpp_type:
        case kinds.CPPTYPE_STRING if descriptor.type == kinds.TYPE_BYTES:
            return rng.randbytes(rng.choice((0, 1, 3, 4, 7, 8, 16, 24)))
        case kinds.CPPTYPE_STRING:
            return rng.choice(TEXTS)
        case kinds.CPPTYPE_DOUBLE | kinds.CPPTYPE_FLOAT:
            return rng.choice((*NUMBERS, -1.0))
        case kinds.CPPTYPE_BOOL:
            return rng.random() < 0.5
        case kinds.CPPTYPE_ENUM:
            return rng.choice((0, 1, 2, 99, -1))
        case kinds.CPPTYPE_UINT32:
            return rng.choice(EDGES) % 2**32
        case kinds.CPPTYPE_UINT64:
            return rng.choice(EDGES)
        case kinds.CPPTYPE_INT32:
            return rng.choice(EDGES) % 2**32 - 2**31
        case _:
            return rng.choice(EDGES) - 2**63


def bend_metric(rng: random.Random, metric: pb.Metric) -> None:
    """Change one thing of a metric."""
    match rng.randrange(11):
        case 0:
            metric.datatype = rng.choice((*range(36), 2**32 - 1))
        case 1:
            metric.ClearField("name")
        case 2:
            metric.alias = rng.choice(EDGES)
        case 3:
            metric.timestamp = rng.choice(EDGES)
        case 4:
            metric.bytes_value = rng.randbytes(rng.choice((0, 1, 3, 4, 7, 8, 16, 24)))
        case 5:
            metric.long_value = rng.choice(EDGES)
        case 6:
            metric.double_value = rng.choice(NUMBERS)
        case 7:
            metric.is_null = not metric.is_null
        case 8:
            metric.string_value = rng.choice(TEXTS)
        case 9:
            for _ in range(rng.choice((1, 8, 40))):
                inner = pb.Metric(name="m", datatype=19)
                inner.CopyFrom(metric)
                metric.template_value.metrics.add().CopyFrom(inner)
                metric.template_value.template_ref = "T"
                if metric.ByteSize() > 4096:
                    break
        case 10:
            metric.properties.keys.append(rng.choice(("sampleRate", "engUnit", "")))
            metric.properties.values.add(type=rng.randrange(24), long_value=rng.choice(EDGES))


def bend_payload(rng: random.Random, content: bytes) -> bytes:
    """Return a Sparkplug payload that is almost a good one."""
    payload = pb.Payload.FromString(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        if not payload.metrics:
            payload.metrics.add()
        match rng.randrange(6):
            case 0:
                del payload.metrics[rng.randrange(len(payload.metrics))]
            case 1:
                payload.metrics.add().CopyFrom(rng.choice(payload.metrics))
            case 2:
                payload.timestamp = rng.choice(EDGES)
            case _:
                bend_metric(rng, rng.choice(payload.metrics))
    return payload.SerializeToString()
