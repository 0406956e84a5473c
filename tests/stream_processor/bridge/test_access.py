"""TLS, certificates, user and password, and the list of who may what in `deploy/mosquitto`."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ssl
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DEPLOY = Path(__file__).parents[3] / "deploy/mosquitto"
SITE, NODE = "riverside", "gw-1"
DATA = f"spBv1.0/{SITE}/DDATA/{NODE}/P-101"
NCMD = f"spBv1.0/{SITE}/NCMD/{NODE}"


class Authority:
    """Certificates for a plant's broker and its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plant")])
        self.file = folder / "authority.pem"
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self._write(self.file, self._sign(self.name, self.key, authority))

    def certificate(self, common_name: str) -> Path:
        """Return a file with a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        host = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        file = self.folder / f"{common_name}.pem"
        self._write(file, self._sign(subject, key, host))
        with file.open("ab") as output:
            output.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        return file

    def _sign(self, subject: x509.Name, key: Any, extension: Any) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    @staticmethod
    def _write(file: Path, certificate: x509.Certificate) -> None:
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def guarded(mosquitto: Any, authority: Authority, tmp_path: Path) -> Any:
    """Mosquitto with the lines of `headrace-tls.conf`, its files and port replaced."""
    server = authority.certificate("localhost")
    text = (DEPLOY / "headrace-tls.conf").read_text(encoding="utf-8")
    replaced = {
        "/etc/mosquitto/certs/authority.pem": str(authority.file),
        "/etc/mosquitto/certs/server.pem": str(server),
        "/etc/mosquitto/certs/server.key": str(server),
        "/etc/mosquitto/headrace.acl": str(DEPLOY / "headrace.acl"),
        "listener 8883": "",
    }
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    mosquitto.kill()
    mosquitto.listener = text
    mosquitto.start()
    return mosquitto


def client(plant: Any, authority: Authority, name: str) -> aiomqtt.Client:
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(str(authority.certificate(name)))
    return aiomqtt.Client("localhost", plant.port, tls_context=context)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_certificate_each(
    log: Any, bridged: Any, guarded: Any, authority: Authority, version: str
) -> None:
    running = bridged.running(
        host="localhost",
        authority=str(authority.file),
        certificate=str(authority.certificate("headrace-bridge")),
        mqtt_version=version,
    )
    async with (
        client(guarded, authority, NODE) as node,
        client(guarded, authority, "gw-2") as other,
        bridged.at_cloud() as cloud,
        running,
    ):
        await node.subscribe(NCMD, qos=1)
        await other.publish(DATA, b"of a node that is not it", qos=1)
        # Larger than what TLS reads at a time.
        large = [bytes([n]) * 100_000 for n in range(20)]
        for one in large:
            await node.publish(DATA, one, qos=1)
        assert [message.data for message in await log.has(20)] == large
        await cloud.publish(NCMD, b"rebirth", qos=1)
        assert (await anext(node.messages)).payload == b"rebirth"


async def test_whom_nobody_vouches_for_is_not_let_in(
    log: Any, bridged: Any, guarded: Any, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "stranger").mkdir()
    stranger = Authority(tmp_path / "stranger")
    for trusted, certificate in ((stranger, authority), (authority, stranger)):
        given = {
            "host": "localhost",
            "authority": str(trusted.file),
            "certificate": str(certificate.certificate("headrace-bridge")),
        }
        async with bridged.running(ready=False, **given) as metrics:
            await bridged.eventually(
                lambda metrics=metrics: metrics.totals()["sessions_lost_total"] >= 2
            )
            assert metrics.totals()["sessions_total"] == 0


async def test_user_and_password(log: Any, bridged: Any, mosquitto: Any, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    # As mosquitto_passwd writes it: PBKDF2 of SHA-512, 101 iterations, 12 bytes of salt.
    salt = b"0123456789ab"
    digest = hashlib.pbkdf2_hmac("sha512", b"right", salt, 101)
    encoded = [base64.b64encode(one).decode() for one in (salt, digest)]
    file.write_text(f"bridge:$7$101${encoded[0]}${encoded[1]}\n")
    file.chmod(0o600)
    mosquitto.kill()
    mosquitto.listener = f"allow_anonymous false\npassword_file {file}"
    mosquitto.start()
    async with bridged.running(ready=False, user="bridge", password="wrong") as metrics:
        await bridged.eventually(lambda: metrics.totals()["sessions_lost_total"] >= 2)
        assert metrics.totals()["sessions_total"] == 0
    known = {"username": "bridge", "password": "right"}
    async with bridged.running(user="bridge", password="right"), bridged.at_plant(**known) as node:
        await node.publish(DATA, b"said", qos=1)
        assert [message.data for message in await log.has(1)] == [b"said"]
