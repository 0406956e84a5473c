"""What a gateway file says of Modbus devices."""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from edge_agent.drivers.base import Fact
from edge_agent.drivers.modbus.registers import Order, Type, width

Table = Literal["holding", "input", "coil", "discrete"]
BITS: Final = frozenset({"coil", "discrete"})
ADDRESSES: Final = 65_536
# Modbus Application Protocol V1.1b3, 6.1 to 6.4.
MAX_REGISTERS: Final = 125
MAX_BITS: Final = 2000
_DIGITS: Final[dict[str, Table]] = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
_MIN_BLOCK_S: Final = 1.0
# Start, eight of data, parity or a second stop, stop (Modbus over Serial Line V1.02, 2.5.1).
_BITS_A_CHARACTER: Final = 11

Seconds = Annotated[float, Meta(ge=0.01, le=86_400)]
Address = Annotated[int, Meta(ge=0, lt=ADDRESSES)]
Rate = Annotated[float, Meta(gt=0)]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a gateway file."""


class TlsTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a connection is secured (Modbus/TCP Security)."""

    ca: Annotated[str, Meta(description="PEM file of the authority that the server is under.")]
    certificate: Annotated[str, Meta(description="PEM file of our own certificate.")] = ""
    key: Annotated[str, Meta(description="PEM file of its private key.")] = ""

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate: and `key` go together")


class TcpTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server or gateway on the network."""

    host: Annotated[str, Meta(min_length=1, description="Its name or address.")]
    port: Annotated[int, Meta(ge=1, le=65_535, description="502, or 802 with TLS.")] = 502
    framing: Annotated[
        Literal["tcp", "rtu"],
        Meta(description="`rtu` for serial gateways that pass frames on as they are."),
    ] = "tcp"
    tls: TlsTable | None = None

    def __post_init__(self) -> None:
        if self.tls is not None and self.framing == "rtu":
            raise ValueError("framing: with TLS it is `tcp`")


class SerialTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A serial line with RTU frames."""

    device: Annotated[str, Meta(min_length=1, description="Such as `/dev/ttyUSB0`.")]
    baudrate: Annotated[int, Meta(ge=300, le=4_000_000)] = 19_200
    parity: Annotated[Literal["none", "even", "odd"], Meta(description="Of each byte.")] = "even"
    stop_bits: Annotated[Literal[1, 2], Meta(description="2 without parity, else 1.")] = 1
    local_echo: Annotated[bool, Meta(description="The adapter hears what it sends.")] = False

    @property
    def silence_s(self) -> float:
        """The silence between frames: 3.5 characters, 1.75 ms above 19,200 baud."""
        return 0.00175 if self.baudrate > 19_200 else 3.5 * _BITS_A_CHARACTER / self.baudrate

    def takes_s(self, registers: int) -> float:
        """Return how long asking for so many registers takes on the line, there and back."""
        return (8 + 5 + 2 * registers) * _BITS_A_CHARACTER / self.baudrate


class PointTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A quantity of a device and where it lies: a channel, and a set-point when writable."""

    name: Annotated[str, Meta(min_length=1, description="In the field's words.")]
    unit: Annotated[str, Meta(description="As in `degC`, `bar`, `1`.")] = "1"
    quantity: Annotated[str, Meta(description="As in docs/contracts.md.")] = "other"
    location: Annotated[str, Meta(description="Such as `drive_end`.")] = ""
    table: Annotated[Table | None, Meta(description="Which of the four tables.")] = None
    address: Annotated[Address | None, Meta(description="As it travels: the first is 0.")] = None
    reference: Annotated[
        str, Meta(description="As in manuals, instead of table and address: `40001` is holding 0.")
    ] = ""
    type: Annotated[Type | None, Meta(description="`bool` of coils, else `uint16`.")] = None
    bit: Annotated[int, Meta(ge=0, le=15, description="Of a `bit`: 0 is the lowest.")] = 0
    scale: Annotated[float, Meta(description="Value = register x scale + offset.")] = 1.0
    offset: Annotated[float, Meta(description="In the unit of the value.")] = 0.0
    invalid: Annotated[
        list[int], Meta(description="What the register holds when there is no value.")
    ] = []
    period_s: Annotated[Seconds | None, Meta(description="Else the device's.")] = None
    word_order: Annotated[Order | None, Meta(description="Else the device's.")] = None
    byte_order: Annotated[Order | None, Meta(description="Else the device's.")] = None
    read: Annotated[bool, Meta(description="`false` for what is only written.")] = True
    writable: Annotated[bool, Meta(description="It takes values from the cloud.")] = False
    write_function: Annotated[
        Literal[5, 6, 15, 16, 22] | None, Meta(description="Else the shortest that fits.")
    ] = None
    count: Annotated[
        int, Meta(ge=1, lt=ADDRESSES, description="Above 1: the samples of a waveform.")
    ] = 1
    sample_rate_hz: Annotated[Rate | None, Meta(description="Of a waveform.")] = None
    sequence_address: Annotated[
        Address | None,
        Meta(description="Of a register that grows with each new waveform."),
    ] = None

    def __post_init__(self) -> None:
        self._check_place()
        if self.bit and self.kind != "bit":
            raise ValueError(f"bit: is for type `bit`, not `{self.kind}`")
        if not math.isfinite(self.scale) or self.scale == 0.0:
            raise ValueError(f"scale: {self.scale} cannot be undone; give a number that is not 0")
        if not math.isfinite(self.offset):
            raise ValueError(f"offset: {self.offset} is no number")
        self._check_waveform()
        self._check_write()

    @property
    def place(self) -> tuple[Table, int]:
        """The table and the address as it travels."""
        if self.reference:
            return _DIGITS[self.reference[0]], int(self.reference[1:]) - 1
        assert self.table is not None
        assert self.address is not None
        return self.table, self.address

    @property
    def kind(self) -> Type:
        """The type, with what it is when nothing was said."""
        return self.type or ("bool" if self.place[0] in BITS else "uint16")

    @property
    def size(self) -> int:
        """How many addresses it takes."""
        return width(self.kind) * self.count

    @property
    def is_waveform(self) -> bool:
        """True for a run of samples."""
        return self.count > 1

    @property
    def function(self) -> int:
        """The function code that writes it."""
        if self.write_function is not None:
            return self.write_function
        if self.kind in ("bool", "bit"):
            return 5 if self.kind == "bool" else 22
        return 6 if self.size == 1 else 16

    def _check_place(self) -> None:
        if bool(self.reference) == (self.table is not None or self.address is not None):
            raise ValueError("address: give table and address, or a reference")
        if self.reference:
            digits = self.reference
            known = digits.isascii() and digits.isdigit() and digits[0] in _DIGITS
            if not known or len(digits) not in (5, 6) or not 1 <= int(digits[1:]) <= ADDRESSES:
                raise ValueError(
                    f"reference: {digits!r} is none; `40001` is the first holding register, "
                    "`30001` the first input register, `10001` and `00001` bits"
                )
        elif self.table is None or self.address is None:
            raise ValueError("address: give both table and address")
        table, address = self.place
        if (self.kind == "bool") != (table in BITS):
            allowed = "`bool`" if table in BITS else "a number or `bit`"
            raise ValueError(f"type: the table {table} holds {allowed}, not `{self.kind}`")
        if address + self.size > ADDRESSES:
            raise ValueError(f"address: {self.size} from {address} on go beyond {ADDRESSES - 1}")

    def _check_waveform(self) -> None:
        if self.is_waveform != (self.sample_rate_hz is not None):
            raise ValueError("sample_rate_hz: a waveform (count above 1) needs one, nothing else")
        if self.sequence_address is not None and not self.is_waveform:
            raise ValueError("sequence_address: is for a waveform (count above 1)")
        if self.is_waveform and self.kind in ("bool", "bit", "bcd16", "bcd32"):
            raise ValueError(f"type: a waveform cannot be made of `{self.kind}`")
        if self.sample_rate_hz is not None and not math.isfinite(self.sample_rate_hz):
            raise ValueError(f"sample_rate_hz: {self.sample_rate_hz} is no rate")

    def _check_write(self) -> None:
        if not self.writable:
            if not self.read:
                raise ValueError(f"read: {self.name!r} is neither read nor writable")
            if self.write_function is not None:
                raise ValueError("write_function: needs `writable = true`")
            return
        table = self.place[0]
        if table not in ("holding", "coil") or self.is_waveform:
            raise ValueError(f"writable: nothing can be written to {table} {self.name!r}")
        fits = {5, 15} if table == "coil" else {22} if self.kind == "bit" else {16}
        if table == "holding" and self.kind != "bit" and self.size == 1:
            fits.add(6)
        if self.function not in fits:
            raise ValueError(
                f"write_function: {self.function} cannot write {self.kind}; "
                f"{' and '.join(map(str, sorted(fits)))} can"
            )


class DeviceTable(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine behind a unit id."""

    tag: Annotated[str, Meta(min_length=1, description="Equipment tag.")]
    equipment_class: Annotated[str, Meta(min_length=1, description="As in docs/contracts.md.")]
    path: Annotated[str, Meta(description="ISA-95: `enterprise/site/area/line/cell`.")] = ""
    description: str = ""
    facts: Annotated[
        dict[str, Fact], Meta(description="`Equipment/…` metrics, as `Nominal Speed`.")
    ] = {}
    unit_id: Annotated[int, Meta(ge=0, le=255, description="Of the device on its line.")] = 1
    period_s: Annotated[Seconds, Meta(description="Between two readings of a point.")] = 1.0
    block_s: Annotated[
        Seconds | None,
        Meta(description="Readings go out together once in so many seconds; else about 1."),
    ] = None
    word_order: Annotated[Order, Meta(description="`big`: the high register first.")] = "big"
    byte_order: Annotated[Order, Meta(description="`big`, the standard's, or swapped.")] = "big"
    max_registers: Annotated[
        int, Meta(ge=4, le=MAX_REGISTERS, description="The device gives in one read.")
    ] = MAX_REGISTERS
    max_gap: Annotated[
        int, Meta(ge=0, le=MAX_REGISTERS, description="Registers of no use that a read may cross.")
    ] = 8
    scan_registers: Annotated[
        int, Meta(ge=0, le=ADDRESSES, description="How many of each table `browse` tries.")
    ] = 1000
    points: Annotated[list[PointTable], Meta(description="What there is to read.")] = []

    def __post_init__(self) -> None:
        names = Counter(point.name for point in self.points)
        for name, times in names.items():
            if times > 1:
                raise ValueError(f"points: {times} have the name {name!r}")
        if self.unit_id == 0 and any(point.writable for point in self.points):
            raise ValueError("unit_id: 0 is everybody on a serial line; nothing is written to it")
        block_ms = self.block_ms
        for point in self.points:
            if point.read:
                self._check_period(point, block_ms)

    def period_ms(self, point: PointTable) -> int:
        """Return the milliseconds between two readings of a point."""
        return round(1000 * (self.period_s if point.period_s is None else point.period_s))

    @property
    def block_ms(self) -> int:
        """The milliseconds of a block."""
        if self.block_s is not None:
            return round(1000 * self.block_s)
        shortest = min((self.period_ms(p) for p in self.points if p.read), default=1000)
        return shortest * max(1, math.ceil(1000 * _MIN_BLOCK_S / shortest))

    def _check_period(self, point: PointTable, block: int) -> None:
        period = self.period_ms(point)
        if block % period and period % block:
            raise ValueError(
                f"block_s: {block / 1000:g} s and the {period / 1000:g} s of {point.name!r} do not "
                "fit; make one a multiple of the other"
            )
        if point.is_waveform and period % block:
            raise ValueError(
                f"block_s: a block has one waveform at most; read {point.name!r} every "
                f"{block / 1000:g} s, or a multiple"
            )


class Options(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One connection, over TCP or a serial line, and the devices behind it."""

    tcp: TcpTable | None = None
    serial: SerialTable | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=60, description="For an answer.")] = 1.0
    retries: Annotated[
        int, Meta(ge=0, le=10, description="Of a request, before a device counts as lost.")
    ] = 1
    request_gap_s: Annotated[
        float,
        Meta(ge=0, le=1, description="Between two requests; a serial line's silence comes first."),
    ] = 0.0
    reconnect_max_s: Annotated[
        float, Meta(gt=0, le=3600, description="Between two tries to reach what is away.")
    ] = 30.0
    devices: Annotated[list[DeviceTable], Meta(min_length=1, description="At least one.")]

    def __post_init__(self) -> None:
        if (self.tcp is None) == (self.serial is None):
            raise ValueError("tcp: give one of the tables `tcp` and `serial`")
        tags = Counter(device.tag for device in self.devices)
        for tag, times in tags.items():
            if times > 1:
                raise ValueError(f"devices: {times} have the tag {tag!r}")
        if self.serial is not None:
            longest = max(device.max_registers for device in self.devices)
            takes_s = self.serial.takes_s(longest)
            if takes_s >= self.timeout_s:
                raise ValueError(
                    f"timeout_s: {longest} registers take {takes_s:.2g} s at "
                    f"{self.serial.baudrate} baud; wait longer, or lower max_registers"
                )

    @property
    def endpoint(self) -> str:
        """What it connects to, for people."""
        if self.tcp is not None:
            return f"{self.tcp.host}:{self.tcp.port}"
        assert self.serial is not None
        return self.serial.device
