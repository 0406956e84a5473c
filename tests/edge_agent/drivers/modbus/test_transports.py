"""The same values over a serial line, over RTU frames in TCP, and over TLS."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import ssl
import struct
import tty
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymodbus.framer import FramerRTU, FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.drivers.base import Block, Lost

Make = Callable[..., Any]


def devices() -> list[SimDevice]:
    """Two units that hold a hundred times their unit id and more."""
    return [
        SimDevice(
            unit,
            simdata=[
                SimData(0, values=list(range(100 * unit, 100 * unit + 50)), datatype=REGISTERS)
            ],
        )
        for unit in (1, 2)
    ]


REGISTERS = DataType.REGISTERS


def options(**given: Any) -> dict[str, Any]:
    points = [{"name": f"R{a}", "table": "holding", "address": a} for a in (0, 1, 40)]
    return {
        "timeout_s": 0.3,
        "reconnect_max_s": 0.2,
        "devices": [
            {
                "tag": f"D-{unit}",
                "equipment_class": "tank",
                "unit_id": unit,
                "period_s": 0.1,
                "block_s": 0.1,
                "points": points,
            }
            for unit in (1, 2)
        ],
        **given,
    }


def is_whole(block: Any, unit: int) -> bool:
    return (
        isinstance(block, Block)
        and block.device == f"D-{unit}"
        and [block.samples[f"R{a}"].tolist() for a in (0, 1, 40)]
        == [[100.0 * unit + a] for a in (0, 1, 40)]
        and not block.quality
    )


class Line:
    """A serial line: two pseudo-terminals, and what joins them; `noise` goes before answers."""

    def __init__(self) -> None:
        self.noise = b""
        self._masters: list[int] = []
        self._slaves: list[int] = []
        for _ in range(2):
            master, slave = os.openpty()
            tty.setraw(master)
            tty.setraw(slave)
            os.set_blocking(master, False)
            self._masters.append(master)
            self._slaves.append(slave)
        self.ends = [os.ttyname(slave) for slave in self._slaves]
        loop = asyncio.get_running_loop()
        for here, there in (self._masters, self._masters[::-1]):
            loop.add_reader(here, self._pass, here, there)

    def _pass(self, here: int, there: int) -> None:
        data = os.read(here, 4096)
        if self.noise and here == self._masters[1]:
            data, self.noise = self.noise + data, b""
        os.write(there, data)

    def close(self) -> None:
        for master in self._masters:
            asyncio.get_running_loop().remove_reader(master)
        for end in (*self._masters, *self._slaves):
            os.close(end)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    try:
        line = Line()
    except OSError as error:
        pytest.skip(f"no pseudo-terminals here: {error}")
    yield line
    line.close()


async def test_rtu_over_a_serial_line(line: Line, run: Make) -> None:
    def server() -> ModbusSerialServer:
        return ModbusSerialServer(
            devices(), port=line.ends[1], parity="N", ignore_missing_devices=True
        )

    serving = server()
    await serving.serve_forever(background=True)
    taking = run(options(serial={"device": line.ends[0], "parity": "none", "stop_bits": 2}))
    for unit in (1, 2):
        await taking.until(lambda item, unit=unit: is_whole(item, unit))

    line.noise = b"\x01\x83\x02\xff\xff"
    await taking.until(lambda item: not line.noise)
    await taking.until(lambda item: is_whole(item, 1))

    await serving.shutdown()
    gone = {(await taking.until(lambda item: isinstance(item, Lost))).device for _ in (1, 2)}
    assert gone == {"D-1", "D-2"}
    serving = server()
    await serving.serve_forever(background=True)
    for unit in (2, 1):
        await taking.until(lambda item, unit=unit: is_whole(item, unit))
    await taking.driver.close()
    await serving.shutdown()


async def test_what_is_no_serial_line_is_lost(tmp_path: Path, run: Make) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a line")
    for device in (file, tmp_path / "ttyUSB9"):
        taking = run(options(serial={"device": str(device)}))
        lost = await taking.next()
        assert isinstance(lost, Lost)
        assert str(device) in lost.reason


async def test_rtu_frames_over_tcp(run: Make) -> None:
    serving = ModbusTcpServer(devices(), framer=FramerType.RTU, address=("127.0.0.1", 0))
    await serving.serve_forever(background=True)
    port = serving.transport.sockets[0].getsockname()[1]
    taking = run(options(tcp={"host": "127.0.0.1", "port": port, "framing": "rtu"}))
    for unit in (1, 2):
        await taking.until(lambda item, unit=unit: is_whole(item, unit))
    await taking.driver.close()
    await serving.shutdown()


async def test_an_rtu_answer_that_comes_late_is_not_taken_for_the_next(run: Make) -> None:
    """A device that takes longer than the timeout now and then; each register holds its address."""
    slow = iter([0.0, 0.0, 0.15, 0.0, 0.13, 0.16, 0.0, 0.0, 0.18] * 3)
    asked = 0

    async def device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while True:
            try:
                request = await reader.readexactly(8)
            except asyncio.IncompleteReadError:
                break
            asked += 1
            await asyncio.sleep(next(slow, 0.0))
            address, count = struct.unpack(">HH", request[2:6])
            values = struct.pack(f">{count}H", *range(address, address + count))
            answer = request[:2] + bytes([len(values)]) + values
            writer.write(answer + FramerRTU.compute_CRC(answer).to_bytes(2, "big"))
        writer.close()

    serving = await asyncio.start_server(device, "127.0.0.1", 0)
    port = serving.sockets[0].getsockname()[1]
    # Reads of one length, so that only their time tells one from the other.
    points = [{"name": f"R{a}", "table": "holding", "address": a} for a in (0, 100, 200, 300)]
    given = options(tcp={"host": "127.0.0.1", "port": port, "framing": "rtu"}, timeout_s=0.1)
    given["devices"] = [{**given["devices"][0], "points": points}]
    taking = run(given)
    blocks: list[Any] = []
    await taking.until(lambda item: bool(blocks.append(item)) or asked > 40)
    for block in blocks:
        for point in points:
            if isinstance(block, Block):
                values = block.samples[point["name"]]
                assert set(values[~np.isnan(values)]) <= {float(point["address"])}
    assert sum(isinstance(block, Block) and not block.quality for block in blocks) >= 3
    await taking.driver.close()
    serving.close()


def certify(folder: Path, name: str, issuer: Any = None) -> tuple[Path, Path, Any]:
    """Write a certificate and its key; signed by itself without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer, signed_by = issuer or (key, subject)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signed_by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    own, secret = folder / f"{name}.pem", folder / f"{name}.key"
    own.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return own, secret, (key, subject)


async def test_tls_with_certificates_of_both_ends(tmp_path: Path, run: Make) -> None:
    ca, _, issuer = certify(tmp_path, "ca")
    stranger, _, _ = certify(tmp_path, "stranger")
    server_pem, server_key, _ = certify(tmp_path, "server", issuer)
    own_pem, own_key, _ = certify(tmp_path, "gateway", issuer)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.load_cert_chain(server_pem, server_key)
    context.verify_mode = ssl.CERT_REQUIRED
    serving = ModbusTlsServer(devices(), address=("127.0.0.1", 0), sslctx=context)
    await serving.serve_forever(background=True)
    port = serving.transport.sockets[0].getsockname()[1]

    def tcp(authority: Path) -> dict[str, Any]:
        tls = {"ca": str(authority), "certificate": str(own_pem), "key": str(own_key)}
        return {"host": "127.0.0.1", "port": port, "tls": tls}

    taking = run(options(tcp=tcp(ca)))
    for unit in (1, 2):
        await taking.until(lambda item, unit=unit: is_whole(item, unit))
    deceived = run(options(tcp=tcp(stranger)))
    assert isinstance(await deceived.next(), Lost)
    await taking.driver.close()
    await deceived.driver.close()
    await serving.shutdown()
