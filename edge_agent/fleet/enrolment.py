"""How a gateway gets its own certificate, and another one before it ends.

The private key is made here and never leaves. `cryptography` is loaded here only: enrolment and
renewal run in processes of their own.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent import durable, settings
from edge_agent.fleet import identity
from edge_agent.fleet.identity import Identity

TIMEOUT_S: Final = 30.0
# Of an answer; certificates and a root are some kilobytes.
MAX_ANSWER_BYTES: Final = 1 << 20


class EnrolmentError(RuntimeError):
    """The server refused, or answered what cannot be used; what was there before still is."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What an enrolment brought; `lines` go into the gateway file."""

    identity: Identity
    broker_host: str
    broker_port: int
    not_after: datetime

    @property
    def lines(self) -> str:
        """The `[broker]` table for the gateway file."""
        table: dict[str, str | int] = {
            "host": self.broker_host,
            "port": self.broker_port,
            "ca": str(self.identity.authority.resolve()),
            "certificate": str(self.identity.certificate.resolve()),
            "key": str(self.identity.certificate.resolve()),
        }
        # JSON's strings and numbers are TOML's, too.
        return "[broker]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in table.items())


def enrol(server: str, token: str, gateway: Path) -> Enrolled:
    """Enrol a gateway with a one-time token; write what it got beside its spool.

    Nothing is written before everything came and fits together.

    Raises:
        SettingsError: the gateway file is wrong.
        EnrolmentError: the server refused, is away, or answered what cannot be used.
    """
    given = settings.read(gateway)
    own = identity.of(given)
    key = ec.generate_private_key(ec.SECP256R1())
    answer = _post(
        f"{server.rstrip('/')}/v1/gateways:enrol",
        {
            "token": token,
            "csrPem": _request(key, given.site, given.edge_node),
            "edgeNode": given.edge_node,
            "site": given.site,
        },
    )
    certificate = _certificate(answer, key)
    authority = _text(answer, "caPem").encode()
    try:
        root = base64.b64decode(_text(answer, "tufRoot"), validate=True)
        json.loads(root)
    except (ValueError, RecursionError) as error:
        raise EnrolmentError(f"tufRoot: {error}") from error
    host, port = _text(answer, "brokerHost"), answer.get("brokerPort")
    if not (isinstance(port, int) and 0 < port < 65536):
        raise EnrolmentError(f"brokerPort: {port!r} is no port")
    own.folder.mkdir(parents=True, exist_ok=True)
    own.folder.chmod(0o700)
    durable.write(own.root, root)
    durable.write(own.authority, authority)
    _keep(own, key, certificate)
    return Enrolled(own, host, port, certificate.not_valid_after_utc)


def renew(server: str, gateway: Path) -> datetime:
    """Get another certificate for another key, by the word of the current key; return its end.

    Raises:
        SettingsError: the gateway file is wrong.
        EnrolmentError: it was never enrolled, or the server refused, or is away.
    """
    given = settings.read(gateway)
    own = identity.of(given)
    try:
        held = own.certificate.read_bytes()
        authority_held = own.authority.read_bytes()
        old_key = serialization.load_pem_private_key(held, None)
        old = x509.load_pem_x509_certificate(held)
    except (OSError, ValueError) as error:
        raise EnrolmentError(f"no identity to renew, enrol this gateway first: {error}") from error
    assert isinstance(old_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    request = _request(key, given.site, given.edge_node)
    answer = _post(
        f"{server.rstrip('/')}/v1/gateways:renew",
        {
            "certificatePem": old.public_bytes(serialization.Encoding.PEM).decode(),
            "csrPem": request,
            "signature": base64.b64encode(
                old_key.sign(request.encode(), ec.ECDSA(hashes.SHA256()))
            ).decode(),
        },
    )
    certificate = _certificate(answer, key)
    authority = _text(answer, "caPem").encode()
    if authority != authority_held:
        # Before the certificate: the broker changes to it first.
        durable.write(own.authority, authority)
    _keep(own, key, certificate)
    return certificate.not_valid_after_utc


def _request(key: ec.EllipticCurvePrivateKey, site: str, edge_node: str) -> str:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, edge_node),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, site),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _certificate(answer: Mapping[str, Any], key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Return the certificate of an answer, which must be for our key and under its authority."""
    certificate = _loaded(_text(answer, "certificatePem").encode(), "certificatePem")
    if certificate.public_key() != key.public_key():
        raise EnrolmentError("certificatePem: it is for another key")
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise EnrolmentError("certificatePem: it has ended; is this gateway's clock right?")
    authority = _loaded(_text(answer, "caPem").encode(), "caPem")
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise EnrolmentError(f"certificatePem: not issued by caPem: {error}") from error
    return certificate


def _loaded(pem: bytes, what: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise EnrolmentError(f"{what}: {error}") from error


def _keep(own: Identity, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    durable.write(own.certificate, pem, mode=0o600)
    validity = identity.Validity(
        not_before_s=certificate.not_valid_before_utc.timestamp(),
        not_after_s=certificate.not_valid_after_utc.timestamp(),
        serial=format(certificate.serial_number, "x"),
    )
    durable.write(own.validity, validity.to_json())


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not (isinstance(value, str) and value):
        raise EnrolmentError(f"the answer has no {name}")
    return value


def _post(url: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "User-Agent": "headrace-edge"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            answer = json.loads(response.read(MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        raise EnrolmentError(f"the server says {error.code}: {_detail(error)}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise EnrolmentError(f"{url}: {error}") from error
    if not isinstance(answer, dict):
        raise EnrolmentError(f"{url}: the answer is no object")
    return answer


def _detail(error: urllib.error.HTTPError) -> str:
    """Return what a problem+json says."""
    try:
        said = json.loads(error.read(MAX_ANSWER_BYTES))
    except (OSError, ValueError, RecursionError):
        return str(error.reason)
    return str(said.get("detail") or said.get("title")) if isinstance(said, dict) else str(said)
