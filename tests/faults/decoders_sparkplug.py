"""What reads Sparkplug, on the gateway and in the processor, and what else comes over MQTT."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
from bending import Decoder, bend_message, bend_payload, bend_text
from google.protobuf.message import DecodeError

from edge_agent.drivers.base import Block, Channel, Device
from edge_agent.drivers.sparkplug.nodes import EdgeNodes, MessageError
from edge_agent.journal import Entry
from edge_agent.sparkplug import metrics, payloads
from edge_agent.sparkplug.commands import read_command
from edge_agent.sparkplug.lost import node_lost
from edge_agent.sparkplug.metrics import Member, MetricError, Property, Table, Template
from edge_agent.sparkplug.payloads import PayloadError
from edge_agent.sparkplug.state import read_state
from edge_agent.v1 import sparkplug_b_pb2 as pb
from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from stream_processor import sparkplug, spools
from stream_processor.acquisition import Acquisition
from stream_processor.messages import Message
from stream_processor.mqtt_publisher import is_offline

NOW_MS = 1_767_592_800_000


def device() -> payloads.DeviceCodec:
    channels = (Channel("Vibration", "mm/s", 100.0), Channel("Speed", "1/min", 1.0))
    return payloads.DeviceCodec(Device("M-1", "pump", "e/s/a/l/c", channels), 0, "model 1")


def foreign() -> bytes:
    """A payload with every datatype."""
    payload = pb.Payload(timestamp=NOW_MS, seq=3)
    template = Template((Member("Speed", 10, 1.5),), {"Limit": Property(9, 4.5)}, "Pump", "1")
    values: dict[int, Any] = {
        **dict.fromkeys(range(1, 9), 5), 9: 1.5, 10: 2.5, 11: True, 12: "x", 13: NOW_MS, 14: "y",
        15: "z", 16: Table(("a", "b"), (3, 12), ((1, "p"), (2, None))), 17: b"abc", 18: b"def",
        19: template, **{kind: [1, 2] for kind in metrics.ARRAYS}, 32: [True, False],
        33: ["p", "q"],
    }  # fmt: skip
    for kind, value in values.items():
        metric = payload.metrics.add(name=f"M{kind}", alias=100 + kind, timestamp=NOW_MS)
        metrics.encode(metric, kind, value)
        nested = {"deep": Property(20, {"unit": Property(12, "bar")})}
        metrics.encode_properties(metric.properties, nested | {"rate": Property(10, 1.0)})
    return payload.SerializeToString()


def command() -> bytes:
    payload = pb.Payload(timestamp=NOW_MS)
    for name, kind, value in (
        ("Node Control/Rebirth", 11, True),
        ("Node Control/Resend", 29, [1, 2, 3]),
        ("Headrace/Command Id", 12, "c-1"),
        ("Speed", 10, 1500.0),
        ("Level", 30, [1.0]),
    ):
        metrics.encode(payload.metrics.add(name=name, timestamp=NOW_MS), kind, value)
    return payload.SerializeToString()


def block(number: int) -> bytes:
    samples = {"Vibration": np.ones(8, np.float32), "Speed": np.ones(1, np.float32)}
    made = device().data(Block("M-1", NOW_MS + number, samples), NOW_MS, 1, number, 0.5)
    return made.SerializeToString()


BIRTHS = (
    payloads.node_birth(NOW_MS, 1, 1, 1, {"Edge/Spool Depth": 0.0}).SerializeToString(),
    device().birth(NOW_MS).SerializeToString(),
)
DEATH = payloads.node_death(1, NOW_MS).SerializeToString()
EARLIER = payloads.node_birth(
    NOW_MS, 1, 5, 1, {}, earlier=[(1, 2, 3), (4, 1, 9)]
).SerializeToString()
LOST = node_lost(NOW_MS, 1, [(3, 4), (7, 9)]).SerializeToString()
SPARKPLUG = (*BIRTHS, EARLIER, block(1), block(2), block(5), LOST, foreign(), command(), DEATH)


def read_values(content: bytes) -> None:
    for metric in pb.Payload.FromString(content).metrics:
        metrics.decode(metric)
        metrics.decode_properties(metric.properties)


class Listener:
    """The driver that hears other edge nodes."""

    KINDS = ("NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH", "DCMD")

    def __init__(self) -> None:
        self.nodes, self.place = EdgeNodes(1.0), 0

    def take(self, content: bytes) -> None:
        kind = self.KINDS[self.place % len(self.KINDS)]
        self.place += 1
        where = "M-1" if kind[0] == "D" else ""
        now_s = self.place * 0.1
        list(self.nodes.take(kind, "n", where, content, NOW_MS + now_s * 1000, now_s))
        self.nodes.problems.clear()


class Host:
    """The acquisition of one node, which hears everything under every topic."""

    TOPICS = (
        "s.NBIRTH.n", "s.DBIRTH.n.M-1", "s.NDATA.n", "s.DDATA.n.M-1", "s.DDATA.n.M-2",
        "s.NDEATH.n", "s.DDEATH.n.M-1", "s.NCMD.n", "s.XYZ.n", "s.DDATA.n.a.b",
    )  # fmt: skip

    def __init__(self) -> None:
        self.acquisition, self.place = Acquisition(), 0

    def take(self, content: bytes) -> None:
        topic = self.TOPICS[self.place % len(self.TOPICS)]
        self.place += 1
        now_ms = NOW_MS + self.place * 10
        message = Message(f"spBv1//0.{topic}", content, self.place, now_ms)
        self.acquisition.update(message, now_ms / 1000)
        if self.place % 50 == 0:
            self.acquisition.tick(now_ms / 1000)
            self.acquisition.marks()
        if self.place % 5000 == 0:
            self.acquisition = Acquisition.restore(self.acquisition.state(), now_ms / 1000)


STATE = json.dumps({"online": True, "timestamp": NOW_MS}).encode()
ENTRY = b'{"id":"a","answers":[{"device":"M-1","metric":"Speed","outcome":1,"value":1.5}]}'

DECODERS = (
    Decoder("edge: command", read_command, (command(), foreign()), (PayloadError,), bend_payload),
    Decoder(
        "edge: values",
        read_values,
        (foreign(), *BIRTHS),
        (MetricError, DecodeError),
        bend_payload,
    ),
    Decoder("edge: driver of Sparkplug", Listener().take, SPARKPLUG, (MessageError,), bend_payload),
    Decoder("edge: history", payloads.historical, (block(1),), (DecodeError,), bend_payload),
    Decoder(
        "edge: acknowledgement",
        Acknowledgement.FromString,
        (Acknowledgement(boot_epoch=1, sequence=2).SerializeToString(),),
        (DecodeError,),
        bend_message(Acknowledgement),
    ),
    Decoder("edge: state", read_state, (STATE,), (PayloadError,), bend_text),
    Decoder(
        "edge: journal",
        lambda content: msgspec.json.decode(content, type=Entry),
        (ENTRY,),
        (msgspec.DecodeError, UnicodeDecodeError),
        bend_text,
    ),
    Decoder("processor: acquisition", Host().take, SPARKPLUG, bend=bend_payload),
    Decoder(
        "processor: birth",
        lambda content: sparkplug.read_birth("s", "n", "e", content),
        (BIRTHS[1], foreign()),
        (sparkplug.BadInputError,),
        bend_payload,
    ),
    Decoder(
        "processor: lost ranges",
        lambda content: spools.lost_ranges(sparkplug.parse(content)),
        (LOST,),
        (sparkplug.BadInputError,),
        bend_payload,
    ),
    Decoder(
        "processor: earlier boots",
        lambda content: spools.earlier_boots(sparkplug.parse(content)),
        (EARLIER,),
        (sparkplug.BadInputError,),
        bend_payload,
    ),
    Decoder("processor: state", is_offline, (STATE,), bend=bend_text),
)
