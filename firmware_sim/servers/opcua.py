"""The plant as an OPC UA server.

The address space is modelled on OPC UA for Machinery (OPC 40001-1) and OPC UA for Devices
(OPC 10000-100): a folder `Machines`, in it an object a machine with `Identification`, `Monitoring`
(what is measured, with unit and range; waveforms are arrays) and `Setpoints`, which take values.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from asyncua import ua
from asyncua.common.node import Node
from asyncua.crypto import cert_gen, permission_rules
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from asyncua.server.address_space import NodeData
from asyncua.server.server import Server
from asyncua.ua import uatypes
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import BadOutOfRange
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge_agent.drivers.base import Channel, Device
from firmware_sim.servers.base import LivePlant, Now, Setpoint, is_slow

log = structlog.get_logger(__name__)

NAMESPACE: Final = "https://headrace.dev/UA/SimulatedPlant/"
APPLICATION_URI: Final = "urn:headrace:simulated-plant"
CERTIFICATE, PRIVATE_KEY = "server.der", "server.pem"
_FAREWELL_S: Final = 5.0
SECURITIES: Final = ("none", "all", "encrypted")

_UNECE_NAMESPACE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"
# Unit of a channel → common code of UNECE Recommendation 20, and how it is written.
_UNITS: Final[Mapping[str, tuple[str, str]]] = {
    "m/s2": ("MSK", "m/s²"),
    "degC": ("CEL", "°C"),
    "bar": ("BAR", "bar"),
    "Pa": ("PAL", "Pa"),
    "m3/h": ("MQH", "m³/h"),
    "A": ("AMP", "A"),
    "1/min": ("RPM", "r/min"),
    "kW": ("KWT", "kW"),
    "%": ("P1", "%"),
    "m/s": ("MTS", "m/s"),
    "mL": ("MLT", "ml"),
}
# What a channel in a unit may be in this plant, for EURange.
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "m/s2": (-400.0, 400.0),
    "degC": (-20.0, 180.0),
    "bar": (-1.0, 25.0),
    "Pa": (-10_000.0, 10_000.0),
    "m3/h": (0.0, 50_000.0),
    "A": (0.0, 500.0),
    "1/min": (0.0, 60_000.0),
    "kW": (0.0, 1000.0),
    "%": (0.0, 150.0),
    "m/s": (0.0, 10.0),
    "mL": (0.0, 5000.0),
}
_ANY_RANGE: Final = (-1e6, 1e6)
_MAKERS: Final[Mapping[str, tuple[str, str]]] = {
    "centrifugal_pump": ("Example Pumps", "CP 60-30"),
    "fan": ("Example Fans", "RF 800"),
    "screw_compressor": ("Example Air", "SC 75"),
    "gearmotor": ("Example Drives", "GM 5.5"),
    "conveyor": ("Example Conveying", "CV 12"),
    "filler_capper": ("Example Filling", "FC 40"),
}


class OpcUaPlant:
    """A plant behind an OPC UA server: an object a machine, values with their own times."""

    def __init__(self, plant: LivePlant) -> None:
        self._plant = plant
        self._server: Server | None = None
        self._index = 0
        self._nodes: dict[tuple[str, str], ua.NodeId] = {}
        plant.listen(self._show)

    async def open(
        self,
        host: str,
        port: int,
        security: str = "none",
        certificates: Path | None = None,
        trusted: Path | None = None,
        users: Mapping[str, str] | None = None,
    ) -> int:
        """Build the address space and listen; return the port, a free one for 0.

        With security, certificate and key are made in `certificates` when they are not there;
        with `trusted`, only clients whose certificates lie in that folder are let in; with `users`
        (name → password) nobody is anonymous.

        Raises:
            OSError: the port is taken.
            ValueError: security is none of `SECURITIES`, or a folder for certificates is missing
                or empty.
        """
        if security not in SECURITIES:
            raise ValueError(f"security: {security!r} is none of {', '.join(SECURITIES)}")
        if security != "none" and certificates is None:
            raise ValueError("certificates: a folder is needed with security")
        manager: Any = _Users(users) if users else None
        server = Server(user_manager=manager)
        await server.init()
        server.set_server_name("Headrace simulated plant")
        server.product_uri = "urn:headrace:simulated-plant:product"
        await server.set_application_uri(APPLICATION_URI)
        server.set_endpoint(f"opc.tcp://{host}:{port}/headrace/")
        server.set_security_policy(_policies(security))
        if users:
            server.set_identity_tokens([ua.UserNameIdentityToken])
        if certificates is not None and security != "none":
            await _certify(server, certificates)
        if trusted is not None:
            store = TrustStore([trusted], [])
            try:
                await store.load()
            except ValueError as error:
                raise ValueError(f"trusted: {trusted} holds no certificate: {error}") from error
            options = CertificateValidatorOptions
            server.iserver.certificate_validator = CertificateValidator(
                options.TIME_RANGE | options.URI | options.TRUSTED | options.PEER_CLIENT, store
            )
        await self._build(server)
        await server.start()
        self._server = server
        assert server.bserver is not None
        bound = server.bserver.port
        log.info(
            "listening",
            protocol="opcua",
            place=f"opc.tcp://{host}:{bound}/headrace/",
            machines=len(self._plant.devices),
            security=security,
        )
        return bound

    async def close(self) -> None:
        """Stop listening and end every session; the machines run on."""
        server, self._server = self._server, None
        if server is not None:
            # It waits for ever for a client that comes back while it closes the others.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await server.stop()

    async def _build(self, server: Server) -> None:
        self._index = await server.register_namespace(NAMESPACE)
        objects = server.get_objects_node()
        machines = await objects.add_folder(self._id("Machines"), self._name("Machines"))
        for device in self._plant.devices.values():
            await self._add_machine(server, machines, device)

    async def _add_machine(self, server: Server, machines: Node, device: Device) -> None:
        tag = device.tag
        machine = await machines.add_object(self._id(tag), self._name(tag))
        await machine.write_attribute(
            AttributeIds.Description,
            ua.DataValue(ua.Variant(ua.LocalizedText(device.description))),
        )
        await self._identify(machine, device)
        monitoring = await self._folder(machine, f"{tag}.Monitoring", "Monitoring")
        for channel in device.channels:
            await self._add_channel(monitoring, device, channel)
        status = await self._folder(machine, f"{tag}.Status", "Status")
        node = await status.add_variable(
            self._id(f"{tag}.Status.Blocks"), self._name("Blocks"), 0, ua.VariantType.UInt32
        )
        self._nodes[tag, "Blocks"] = node.nodeid
        setpoints = await self._folder(machine, f"{tag}.Setpoints", "Setpoints")
        for setpoint in self._plant.setpoints(tag):
            await self._add_setpoint(server, setpoints, tag, setpoint)

    async def _identify(self, machine: Node, device: Device) -> None:
        tag = device.tag
        node = await self._folder(machine, f"{tag}.Identification", "Identification")
        maker, model = _MAKERS.get(device.equipment_class, ("Example Works", "M 1"))
        texts: Mapping[str, object] = {
            "Manufacturer": ua.LocalizedText(maker),
            "Model": ua.LocalizedText(model),
            "SerialNumber": f"{tag}-0001",
            "ProductInstanceUri": f"urn:headrace:simulated-plant:{tag}",
            "DeviceClass": device.equipment_class,
            "Location": device.path,
        }
        for name, value in texts.items():
            await node.add_property(
                self._id(f"{tag}.Identification.{name}"), self._name(name), value
            )

    async def _add_channel(self, parent: Node, device: Device, channel: Channel) -> None:
        name = f"{device.tag}.Monitoring.{channel.name}"
        waveform = not is_slow(channel)
        node = await parent.add_variable(
            self._id(name),
            self._name(channel.name),
            [] if waveform else 0.0,
            ua.VariantType.Float if waveform else ua.VariantType.Double,
        )
        low, high = _RANGES.get(channel.unit, _ANY_RANGE)
        await self._analog(node, name, channel.unit, low, high)
        if waveform:
            await node.write_value_rank(ua.ValueRank.OneDimension)
            await node.add_property(
                self._id(f"{name}.SampleRate"), _standard("SampleRate"), channel.sample_rate_hz
            )
        self._nodes[device.tag, channel.name] = node.nodeid
        # Until the machine has said something.
        await node.write_value(
            _value(
                ua.Variant(None), round(time.time() * 1000), StatusCodes.BadWaitingForInitialData
            )
        )

    async def _add_setpoint(
        self, server: Server, parent: Node, tag: str, setpoint: Setpoint
    ) -> None:
        name = f"{tag}.Setpoints.{setpoint.name}"
        node = await parent.add_variable(
            self._id(name), self._name(setpoint.name), setpoint.value, ua.VariantType.Double
        )
        # 0 gives the machine back to the plant's plan, so the range begins there.
        await self._analog(node, name, setpoint.unit, 0.0, setpoint.maximum)
        await node.set_writable()

        def take(data: NodeData, attribute: AttributeIds, value: ua.DataValue) -> None:
            given = value.Value.Value if value.Value is not None else None
            try:
                self._plant.write(tag, setpoint.name, float(given))  # type: ignore[arg-type]
            except (TypeError, ValueError) as error:
                log.warning("set-point refused", device=tag, reason=str(error))
                raise BadOutOfRange from error
            data.attributes[attribute].value = value

        server.set_attribute_value_setter(node.nodeid, take)

    async def _analog(self, node: Node, name: str, unit: str, low: float, high: float) -> None:
        """Make a variable one with a range and a unit (AnalogUnitRangeType, OPC 10000-8)."""
        code, written = _UNITS.get(unit, ("", unit))
        information = ua.EUInformation(
            NamespaceUri=_UNECE_NAMESPACE,
            UnitId=int.from_bytes(code.encode("ascii"), "big") if code else -1,
            DisplayName=ua.LocalizedText(written),
            Description=ua.LocalizedText(unit),
        )
        await node.delete_reference(
            _node_id(ObjectIds.BaseDataVariableType),
            _node_id(ObjectIds.HasTypeDefinition),
            bidirectional=False,
        )
        await node.add_reference(
            _node_id(ObjectIds.AnalogUnitRangeType),
            _node_id(ObjectIds.HasTypeDefinition),
            bidirectional=False,
        )
        await node.add_property(
            self._id(f"{name}.EURange"), _standard("EURange"), ua.Range(low, high)
        )
        await node.add_property(
            self._id(f"{name}.EngineeringUnits"), _standard("EngineeringUnits"), information
        )

    async def _folder(self, parent: Node, name: str, shown: str) -> Node:
        return await parent.add_object(self._id(name), self._name(shown))

    def _id(self, name: str) -> uatypes.NodeId:
        return _node_id(name, self._index)

    def _name(self, name: str) -> ua.QualifiedName:
        index: Any = self._index
        return ua.QualifiedName(name, index)

    async def _show(self, now: Now) -> None:
        """Write what a machine said, every sample with its own time."""
        if self._server is None:
            return
        tag, block = now.device.tag, now.block
        for channel in now.device.channels:
            samples = block.samples.get(channel.name)
            if samples is None or not len(samples):
                continue
            node = self._nodes[tag, channel.name]
            if not is_slow(channel):
                await self._server.write_attribute_value(
                    node, _waveform(samples.tolist(), block.start_time_ms)
                )
                continue
            for i, sample in enumerate(samples.tolist()):
                at_ms = block.start_time_ms + round(i * 1000 / channel.sample_rate_hz)
                await self._server.write_attribute_value(node, _single(sample, at_ms))
        count = ua.Variant(now.sequence, ua.VariantType.UInt32)
        await self._server.write_attribute_value(
            self._nodes[tag, "Blocks"], _value(count, block.start_time_ms)
        )


class _Users:
    """Lets in who knows a name and its password."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = dict(passwords)

    def get_user(
        self,
        _server: object,
        username: str | None = None,
        password: str | None = None,
        certificate: object = None,
    ) -> permission_rules.User | None:
        if username is None or self._passwords.get(username) != password:
            return None
        return permission_rules.User(role=permission_rules.UserRole.User, name=username)


def _policies(security: str) -> list[ua.SecurityPolicyType]:
    signed = [
        ua.SecurityPolicyType.Basic256Sha256_Sign,
        ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ]
    match security:
        case "none":
            return [ua.SecurityPolicyType.NoSecurity]
        case "all":
            return [ua.SecurityPolicyType.NoSecurity, *signed]
        case _:
            return signed[1:]


async def _certify(server: Server, folder: Path) -> None:
    """Load certificate and key, made when they are not there."""
    key, certificate = folder / PRIVATE_KEY, folder / CERTIFICATE
    _make(folder)
    await cert_gen.setup_self_signed_certificate(
        key,
        certificate,
        APPLICATION_URI,
        socket.gethostname(),
        [ExtendedKeyUsageOID.SERVER_AUTH],
        {"organizationName": "Headrace"},
    )
    await server.load_certificate(certificate)
    await server.load_private_key(key)


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _single(sample: float, at_ms: int) -> ua.DataValue:
    if math.isnan(sample):
        return _value(ua.Variant(None), at_ms, StatusCodes.BadSensorFailure)
    return _value(ua.Variant(sample, ua.VariantType.Double), at_ms)


def _waveform(samples: Sequence[float], at_ms: int) -> ua.DataValue:
    """Return a waveform; one with lost samples keeps them as NaN."""
    return _value(ua.Variant(list(samples), ua.VariantType.Float), at_ms)


def _value(variant: ua.Variant, at_ms: int, status: int = StatusCodes.Good) -> ua.DataValue:
    # asyncua's annotations ask for number and time types that it does not use itself.
    said: dict[str, Any] = {
        "Value": variant,
        "StatusCode": ua.StatusCode(*_any(status)),
        "SourceTimestamp": datetime.fromtimestamp(at_ms / 1000, UTC),
        "ServerTimestamp": datetime.now(UTC),
    }
    return ua.DataValue(**said)


def _any(*given: Any) -> tuple[Any, ...]:
    return given


def _standard(name: str) -> ua.QualifiedName:
    return ua.QualifiedName(name)


def _node_id(identifier: Any, namespace: int = 0) -> uatypes.NodeId:
    return uatypes.NodeId(*_any(identifier, namespace))


async def serve(
    plant: LivePlant,
    host: str,
    port: int,
    security: str = "none",
    certificates: str = "",
    trusted: str = "",
    user: str = "",
    password: str = "",
) -> None:
    """Serve the plant until cancelled or until it ends.

    Options: `security` is `none`, `all` (also signed, and encrypted) or `encrypted`;
    `certificates` a folder where the server's are kept, and made when missing; `trusted` a folder
    with those of the clients that are let in (else all); `user` and `password` end anonymity.

    Raises:
        OSError: the port is taken.
        ValueError: an option is wrong.
    """
    if bool(user) != bool(password):
        raise ValueError("user: and `password` go together")
    served = OpcUaPlant(plant)
    await served.open(
        host,
        port,
        security,
        Path(certificates) if certificates else None,
        Path(trusted) if trusted else None,
        {user: password} if user else None,
    )
    try:
        await plant.run()
    finally:
        await served.close()
