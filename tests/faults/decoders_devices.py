"""What reads devices, files and updates on the gateway."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from asyncua import ua
from asyncua.client.ua_client import UASocketProtocol
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from bending import Decoder, bend_bytes, bend_text
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerType
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from edge_agent import checking, drivers, settings
from edge_agent.drivers import OptionsError
from edge_agent.drivers.modbus.connection import guard
from edge_agent.drivers.modbus.options import Options as ModbusOptions
from edge_agent.drivers.modbus.point import PointReader
from edge_agent.drivers.mqtt.mapping import MessageMap, UnreadableError
from edge_agent.drivers.mqtt.options import Options as MqttOptions
from edge_agent.drivers.opcua import library  # noqa: F401 (it guards what is decoded)
from edge_agent.drivers.opcua.decoding import WrongShapeError, reading
from edge_agent.drivers.recording.table import RecordingError, read
from edge_agent.inference.card import ModelCard
from edge_agent.settings import SettingsError
from edge_agent.updates import items, repository

NOW_MS = 1_767_592_800_000.0
# A schema takes its time: one gateway file in so many goes through the checker too.
CHECKED_OF = 100


class SilentError(Exception):
    """What came is no answer; the driver goes on waiting, or connects anew."""


class Modbus:
    """A client that asked for registers, and the points that it asked for."""

    def __init__(self, framer: FramerType) -> None:
        self.loop = asyncio.new_event_loop()
        self.client = self.loop.run_until_complete(self._made(framer))
        guard(self.client)
        device = msgspec.convert(
            {
                "tcp": {"host": "127.0.0.1"},
                "devices": [
                    {
                        "tag": "M-1",
                        "equipment_class": "meter",
                        "points": [
                            {"name": "A", "table": "holding", "address": 0, "type": "float32"},
                            {"name": "B", "table": "holding", "address": 2, "type": "bcd16"},
                            {"name": "C", "table": "holding", "address": 3, "type": "int64"},
                        ],
                    }
                ],
            },
            ModbusOptions,
        ).devices[0]
        self.points = [PointReader.of(device, point) for point in device.points]

    async def _made(self, framer: FramerType) -> AsyncModbusTcpClient:
        return AsyncModbusTcpClient("127.0.0.1", framer=framer)

    def take(self, content: bytes) -> None:
        asked: asyncio.Future[Any] = self.loop.create_future()
        ctx = self.client.ctx
        ctx.recv_buffer, ctx.response_future = b"", asked
        ctx.request_dev_id, ctx.request_transaction_id = 1, 0
        ctx.data_received(content)
        assert len(ctx.recv_buffer) <= 1024
        if not asked.done() or asked.result().isError():
            raise SilentError
        registers = getattr(asked.result(), "registers", [])
        if len(registers) != 7:
            raise SilentError
        for point in self.points:
            first = point.span.address
            point.value(registers[first : first + point.span.count])


RTU = bytes.fromhex("01030e42f6e6661234ffffffffffffffff")
TCP = b"\0\0\0\0\0\x11" + RTU


def crc(frame: bytes) -> bytes:
    """CRC-16 of Modbus over Serial Line V1.02, 6.2.2."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return frame + value.to_bytes(2, "little")


def bend_rtu(rng: random.Random, content: bytes) -> bytes:
    """Return another frame with the sum that it should have."""
    return crc(bend_bytes(rng, content[:-2]))


class Wire:
    """What an OPC UA client writes to."""

    closed = False

    def write(self, data: bytes) -> None: ...

    def close(self) -> None:
        self.closed = True


class OpcUa:
    """A client that waits for a message of its subscription."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def take(self, content: bytes) -> None:
        protocol, wire = UASocketProtocol(), Wire()
        protocol.connection_made(wire)  # type: ignore[arg-type]
        asked = protocol._callbackmap[1] = self.loop.create_future()
        protocol.data_received(content)
        if wire.closed or not asked.done() or asked.exception():
            raise SilentError
        self.read(asked.result())

    @staticmethod
    def read(content: Any) -> None:
        try:
            # The library says of every exception here that nothing came.
            message = struct_from_binary(ua.PublishResponse, content)
        except Exception as error:
            raise SilentError from error
        for part in message.Parameters.NotificationMessage.NotificationData or ():
            if isinstance(part, ua.DataChangeNotification):
                for item in part.MonitoredItems:
                    for waveform in (False, True):
                        # The driver tells it of the one node and goes on.
                        with suppress(WrongShapeError):
                            reading(item.Value, waveform, "source", NOW_MS, NOW_MS, 5000.0)


def notification() -> bytes:
    """A message of a subscription as its server sends it."""
    values = (1.5, [1.0, 2.0, 3.0], 7, "text", True)
    part = ua.DataChangeNotification()
    part.MonitoredItems = [
        ua.MonitoredItemNotification(place, ua.DataValue(ua.Variant(value)))
        for place, value in enumerate(values)
    ]
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = 1
    response.Parameters.NotificationMessage.NotificationData = [part]
    return struct_to_binary(response)


def nothings() -> bytes:
    """The same with an array of so many times nothing that no memory holds it."""
    return notification().replace(b"\x03\x8b\x03\0\0\0", b"\x03\x80\xff\xff\xff\x7f")


def framed(body: bytes) -> bytes:
    connection = SecureConnection(SecurityPolicyNone(), TransportLimits(65535, 65535, 0, 0))
    return connection.message_to_binary(body, request_id=1)


MAPPING: dict[str, Any] = {
    "broker": {"host": "localhost"},
    "devices": [{"tag": "P-1", "key": "pump"}, {"tag": "P-2", "key": "7"}],
    "subscriptions": [
        {
            "topic": "plant/+",
            "items": "waves[*]",
            "device": {"path": "of"},
            "time": {"path": "at", "format": "iso8601"},
            "quality": {"path": "q", "good": ["ok"]},
            "channels": [
                {"name": "Level", "value": "level", "texts": {"full": 1.0}},
                {
                    "name": "Vibration",
                    "value": "g",
                    "where": {"axis": "x"},
                    "waveform": True,
                    "sample_rate_hz": 100.0,
                },
            ],
        },
        {
            "topic": "plant/+",
            "device": {"tag": "P-1"},
            "time": {"path": "ts", "format": "ms"},
            "channels": [{"name": "Pressure", "value": "hydraulics.pressure"}],
        },
    ],
    "availability": [{"topic": "plant/+", "path": "there", "device": {"tag": "P-1"}}],
}
SAID = {
    "ts": NOW_MS,
    "there": "online",
    "hydraulics": {"pressure": 5.5},
    "waves": [
        {"of": "pump", "at": "2026-01-05T06:00:00Z", "q": "ok", "level": "full", "axis": "x",
         "g": [0.5, 1.5]},
        {"of": 7, "at": "2026-01-05T07:00:00+01:00", "q": "?", "level": 3, "g": None},
    ],
}  # fmt: skip
ROLLOUT = {
    "rollout": "r", "kind": "model", "equipment_class": "fan", "version": "2",
    "state": "rolling", "group": "default", "percent": 100, "salt": "x", "more": {"a": [1]},
}  # fmt: skip
CSV = "time,speed,label\n" + "".join(f"2026-01-05 06:00:{s:02},{s / 7},0\n" for s in range(9))
SEMICOLON = "t;a;b\n" + "".join(f"05.01.2026 06:{m:02};{m},5;n/a\n" for m in range(9))


class Files:
    """Inputs that are read from disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, 0

    def placed(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def recording(self, content: bytes) -> None:
        read(self.placed("recording.csv", content))

    def card(self, content: bytes) -> None:
        ModelCard.read(self.placed("card.json", content))

    def gateway(self, content: bytes) -> None:
        """Read a gateway file as the agent does, and now and then as `edge check` does."""
        path = self.placed("gateway.toml", content)
        self.place += 1
        if self.place % CHECKED_OF == 0:
            checking.check(path)
        for table in settings.read(path, {}).gateway.drivers:
            # Someone's own module is not ours to open.
            if table.kind != "plugin":
                drivers.open_driver(*table.chosen)


class Metadata:
    """The metadata of a repository, each after those before it."""

    ORDER = ("timestamp", "snapshot", "targets", "rollouts")

    def __init__(self, root: bytes, good: dict[str, bytes]) -> None:
        self.root, self.good = root, good

    def take(self, role: str, content: bytes) -> None:
        with repository._told(role):
            known = TrustedMetadataSet(self.root, EnvelopeType.METADATA)
            if role == "root":
                known.update_root(content)
                return
            for before in self.ORDER[: self.ORDER.index(role)]:
                self._update(known, before, self.good[before])
            self._update(known, role, content)

    def _update(self, known: TrustedMetadataSet, role: str, content: bytes) -> None:
        match role:
            case "timestamp":
                known.update_timestamp(content)
            case "snapshot":
                known.update_snapshot(content)
            case "targets":
                known.update_targets(content)
            case _:
                known.update_delegated_targets(content, role, "targets")

    def decoder(self, role: str) -> Decoder:
        seed = self.good[role]

        def take(content: bytes) -> None:
            self.take(role, content)

        return Decoder(f"edge: {role}.json", take, (seed,), (repository.RefusedError,), bend_text)


def decoders(folder: Path, root: bytes, metadata: dict[str, bytes]) -> tuple[Decoder, ...]:
    """Return them; `metadata` are the files of a repository by role, which `root` vouches for."""
    files, mapping = Files(folder), MessageMap(msgspec.convert(MAPPING, MqttOptions))
    updates = Metadata(root, metadata)
    here = Path(drivers.__file__).parent
    samples = tuple(path.read_bytes() for path in sorted(here.glob("*/sample.toml")))

    def mapped(content: bytes) -> None:
        mapping.read("plant/a", content, NOW_MS)

    # All that is of a card.
    card = json.dumps(
        {
            "name": "a", "version": "1", "equipment_class": "fan", "features": ["Speed/mean"],
            "mean": [1.5], "scale": [0.5], "clip": 8.0, "limit": 0.1, "data": {"rows": 3},
        }
    ).encode()  # fmt: skip
    return (
        Decoder(
            "edge: Modbus TCP frame",
            Modbus(FramerType.SOCKET).take,
            (TCP,),
            (SilentError,),
            bend_bytes,
        ),
        Decoder(
            "edge: Modbus RTU frame",
            Modbus(FramerType.RTU).take,
            (crc(RTU),),
            (SilentError,),
            bend_rtu,
        ),
        Decoder(
            "edge: OPC UA message",
            OpcUa().take,
            (framed(notification()),),
            (SilentError,),
            bend_bytes,
        ),
        Decoder(
            "edge: OPC UA values",
            lambda content: OpcUa.read(ua.utils.Buffer(content)),
            (notification(), nothings()),
            (SilentError,),
            bend_bytes,
        ),
        Decoder(
            "edge: JSON mapping",
            mapped,
            (json.dumps(SAID).encode(),),
            (UnreadableError,),
            bend_text,
        ),
        *(updates.decoder(role) for role in ("root", *Metadata.ORDER)),
        Decoder(
            "edge: rollouts",
            items.read,
            (json.dumps([ROLLOUT]).encode(),),
            (items.ItemsError,),
            bend_text,
        ),
        Decoder("edge: model card", files.card, (card,), (ValueError,), bend_text),
        Decoder(
            "edge: gateway file",
            files.gateway,
            samples,
            (SettingsError, OptionsError),
            bend_text,
        ),
        Decoder(
            "edge: recording",
            files.recording,
            (CSV.encode(), SEMICOLON.encode()),
            (RecordingError,),
            bend_text,
        ),
    )
