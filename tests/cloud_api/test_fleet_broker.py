"""A real nats-server with TLS: each gateway its own topics, and nobody else's certificate."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import nats
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from cloud_api.fleet_authority import open_authority
from cloud_api.fleet_broker import USERS, BrokerList, Login, users_file
from erp_modules.fleet.certificates import Authority, user_of
from erp_modules.fleet.ports import BrokerUser
from headrace.broker import Broker, TlsFiles
from headrace.cli import app

SITE = "plant"


def issued(authority: Authority, user: str, path: Path, now: datetime) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    made = authority.issue(request.sign(key, hashes.SHA256()), user, "any", now)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(pem + made.pem.encode())
    return path


@dataclass
class Plant:
    """The broker, its list, and gateways `e1` and `e"2` with certificates."""

    folder: Path
    broker: Broker = field(init=False)
    users: BrokerList = field(init=False)

    def __post_init__(self) -> None:
        data = self.folder / "data"
        self.broker = Broker(self.folder / "nats", tls=TlsFiles(data / "broker"))
        made = CliRunner().invoke(
            app,
            ["fleet", "broker", "127.0.0.1", "localhost", "--data-dir", str(data)],
            env=self.broker.environment,
        )
        assert made.exit_code == 0, made.output
        self.authority = open_authority(data)
        self.users = BrokerList(
            "127.0.0.1",
            self.broker.mqtt_port,
            data / "broker" / USERS,
            Login(self.broker.user, self.broker.password),
            self.broker.pid_file,
        )
        self.admit("e1", 'e"2')
        self.broker.start()

    def user(self, node: str, generation: int = 1) -> str:
        return user_of(f"{SITE}~{node}", generation)

    def admit(self, *nodes: str) -> None:
        self.users.admit([BrokerUser(self.user(node), SITE, node) for node in nodes])

    def client(
        self,
        node: str,
        *,
        authority: Authority | None = None,
        now: datetime | None = None,
        generation: int = 1,
    ) -> aiomqtt.Client:
        path = issued(
            authority or self.authority,
            self.user(node, generation),
            self.folder / "identity.pem",
            now or datetime.now(UTC),
        )
        context = ssl.create_default_context(
            cafile=str(self.folder / "data" / "broker" / "authority.pem")
        )
        context.load_cert_chain(str(path))
        return aiomqtt.Client(
            "127.0.0.1",
            self.broker.mqtt_port,
            identifier=f"{SITE}-{node.replace(chr(34), '')}",
            tls_context=context,
            timeout=10,
        )

    async def admitted(self, node: str) -> bool:
        try:
            async with self.client(node):
                return True
        except aiomqtt.MqttError:
            return False


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    plant = Plant(tmp_path)
    yield plant
    plant.broker.stop()


async def test_a_gateway_speaks_and_hears_on_its_own_topics_only(plant: Plant) -> None:
    broker = plant.broker
    server = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: nats.aio.msg.Msg) -> None:
        await heard.put(message.subject)

    for subject in ("spBv1//0.>", "headrace.>", "$MQTT.msgs.>"):
        await server.subscribe(subject, cb=hear)
    await server.flush()
    own = [
        "spBv1.0/plant/NBIRTH/e1",
        "spBv1.0/plant/DDATA/e1/P-101",
        "headrace/report/plant/e1",
        "headrace/outcome/plant/e1",
    ]
    foreign = [
        'spBv1.0/plant/NBIRTH/e"2',
        "spBv1.0/other/NBIRTH/e1",
        'headrace/report/plant/e"2',
        "headrace/ack/plant/e1",
        'spBv1.0/plant/NCMD/e"2',
        "events/default/fleet",
    ]
    async with plant.client("e1") as gateway:
        for topic in (*foreign, *own):
            await gateway.publish(topic, b"x", qos=1)
        expected = {topic.replace("/", ".").replace("spBv1.0", "spBv1//0") for topic in own}
        said: set[str] = set()
        async with asyncio.timeout(20):
            while len(said) < 2 * len(own):
                said.add(await heard.get())
        assert {one for one in said if not one.startswith("$MQTT")} == expected
        assert {one.removeprefix("$MQTT.msgs.") for one in said} == expected
        mine = ("spBv1.0/plant/NCMD/e1", "spBv1.0/plant/DCMD/e1/#", "headrace/ack/plant/e1",
                "spBv1.0/STATE/host")  # fmt: skip
        for topic in mine:
            (code,) = await gateway.subscribe(topic, qos=1)
            assert not code.is_failure, topic
        for topic in (
            "#",
            "spBv1.0/plant/NCMD/#",
            'spBv1.0/plant/NCMD/e"2',
            "headrace/#",
            "$SYS/#",
        ):
            (code,) = await gateway.subscribe(topic, qos=1)
            assert code.is_failure, topic
        await server.publish("spBv1//0.plant.DCMD.e1.P-101", b"write")
        async with asyncio.timeout(10):
            message = await anext(aiter(gateway.messages))
        assert (str(message.topic), message.payload) == ("spBv1.0/plant/DCMD/e1/P-101", b"write")
    await server.close()


async def test_foreign_expired_earlier_and_no_certificates_are_refused(
    plant: Plant, tmp_path: Path
) -> None:
    assert await plant.admitted("e1")
    assert await plant.admitted('e"2')
    assert not await plant.admitted("e3")
    stranger = open_authority(tmp_path / "stranger")
    long_ago = datetime.now(UTC) - timedelta(days=40)
    without = ssl.create_default_context(cafile=str(tmp_path / "data" / "broker" / "authority.pem"))
    clients = {
        "foreign": plant.client("e1", authority=stranger),
        "expired": plant.client("e1", now=long_ago),
        "superseded": plant.client("e1", generation=2),
        "none": aiomqtt.Client(
            "127.0.0.1", plant.broker.mqtt_port, tls_context=without, timeout=10
        ),
        "plain": aiomqtt.Client(
            "127.0.0.1",
            plant.broker.mqtt_port,
            username=plant.broker.user,
            password=plant.broker.password,
            timeout=10,
        ),
    }

    async def refused(client: aiomqtt.Client) -> bool:
        try:
            async with client:
                return False
        except aiomqtt.MqttError:
            return True

    # At once: a client that is cut off in the middle of TLS waits for its time-out.
    answers = await asyncio.gather(*map(refused, clients.values()))
    assert dict(zip(clients, answers, strict=True)) == dict.fromkeys(clients, True)
    assert await plant.admitted("e1")


async def test_a_gateways_user_without_its_certificate_is_nobody(plant: Plant) -> None:
    """The list has no password for a gateway, and the other door must not take that for one."""
    with pytest.raises(nats.errors.Error):
        await nats.connect(
            plant.broker.nats_url, user=plant.user("e1"), password="", max_reconnect_attempts=0,
            allow_reconnect=False,
        )  # fmt: skip


@pytest.mark.parametrize("edge_node", ["*", ">", "e1.*", "a b", "a\nb", ""])
def test_a_name_that_is_no_level_of_a_topic_is_nobody(edge_node: str) -> None:
    login = Login("headrace", "secret")
    good = BrokerUser("good", SITE, "e1")
    for bad in (BrokerUser("bad", SITE, edge_node), BrokerUser("bad", edge_node, "e1")):
        assert users_file(login, (), [good, bad]) == users_file(login, (), [good])


def test_a_server_without_a_password_opens_no_door() -> None:
    for login in (Login("", ""), Login("headrace", "")):
        assert users_file(login, (), []) == users_file(Login("", "secret"), (), [])
        assert "password" not in users_file(login, (), [])


@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="needs /proc")
def test_a_number_that_is_another_process_by_now_is_not_signalled(tmp_path: Path) -> None:
    pid_file = tmp_path / "nats.pid"
    users = BrokerList(
        "127.0.0.1", 8883, tmp_path / "users.conf", Login("headrace", "secret"), pid_file
    )
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for said in (str(other.pid), "0", "-1", "nonsense"):
            pid_file.write_text(said)
            users.admit([BrokerUser(f"user-{said}", SITE, "e1")])
            assert f"user-{said}" in users.path.read_text()
        other.stdin.write(b"alive")
        other.stdin.close()
        assert other.stdout.read() == b"alive"
    assert other.returncode == 0


async def test_a_new_certificate_of_the_broker_counts_after_a_reload(plant: Plant) -> None:
    def shown() -> bytes:
        data = plant.folder / "data"
        context = ssl.create_default_context(cafile=str(data / "broker" / "authority.pem"))
        identity = plant.folder / "shown.pem"
        context.load_cert_chain(
            str(issued(plant.authority, plant.user("e1"), identity, datetime.now(UTC)))
        )
        address = ("127.0.0.1", plant.broker.mqtt_port)
        with (
            socket.create_connection(address, 10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as session,
        ):
            return session.getpeercert(binary_form=True) or b""

    before = await asyncio.to_thread(shown)
    arguments = ["fleet", "broker", "127.0.0.1", "--data-dir", str(plant.folder / "data")]
    made = CliRunner().invoke(app, arguments, env=plant.broker.environment)
    assert made.exit_code == 0, made.output
    assert await asyncio.to_thread(shown) == before
    os.kill(int(plant.broker.pid_file.read_text()), signal.SIGHUP)
    deadline = time.monotonic() + 20
    while await asyncio.to_thread(shown) == before:
        assert time.monotonic() < deadline
    assert await plant.admitted("e1")


async def test_a_revoked_gateway_is_cut_off_and_the_others_stay(plant: Plant) -> None:
    async def until_cut_off() -> None:
        async with plant.client("e1") as revoked:
            await revoked.publish("headrace/report/plant/e1", b"before", qos=1)
            plant.admit('e"2')
            async with asyncio.timeout(20):
                async for _ in revoked.messages:
                    pytest.fail("it heard something")

    async with plant.client('e"2') as other:
        with pytest.raises(aiomqtt.MqttError):
            await until_cut_off()
        await other.publish('headrace/report/plant/e"2', b"still here", qos=1)
    assert not await plant.admitted("e1")
    plant.admit("e1", 'e"2')
    deadline = time.monotonic() + 20
    while not await plant.admitted("e1"):
        assert time.monotonic() < deadline


async def test_a_process_of_ours_has_a_certificate_and_may_do_everything(
    plant: Plant, tmp_path: Path
) -> None:
    made = CliRunner().invoke(
        app,
        ["fleet", "service-certificate", "processor", str(tmp_path / "processor.pem"),
         "--data-dir", str(tmp_path / "data")],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    services = (made.output.strip(),)
    users = BrokerList(**{**vars(plant.users), "services": services})
    users.admit([BrokerUser(plant.user("e1"), SITE, "e1")])
    context = ssl.create_default_context(cafile=str(tmp_path / "data/broker/authority.pem"))
    context.load_cert_chain(str(tmp_path / "processor.pem"))
    deadline = time.monotonic() + 20
    while True:
        try:
            async with aiomqtt.Client(
                "127.0.0.1", plant.broker.mqtt_port, tls_context=context
            ) as processor:
                await processor.publish("headrace/ack/plant/e1", b"ack", qos=1, retain=True)
                break
        except aiomqtt.MqttError:
            assert time.monotonic() < deadline
    async with plant.client("e1") as gateway:
        await gateway.subscribe("headrace/ack/plant/e1", qos=1)
        async with asyncio.timeout(10):
            message = await anext(aiter(gateway.messages))
    assert message.payload == b"ack"


def test_the_private_keys_are_the_owners(plant: Plant) -> None:
    data = plant.folder / "data"
    for path in (data / "authority/authority.key", data / "broker/server.key", plant.users.path):
        assert path.stat().st_mode & 0o077 == 0, path
    assert isinstance(plant.broker.process, subprocess.Popen)
