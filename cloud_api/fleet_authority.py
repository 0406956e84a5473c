"""The certificate authority's files: made at the first start, for the owner's eyes only.

It issues the gateways' certificates and the broker's own, so that a gateway needs one authority.
"""

from __future__ import annotations

import ipaddress
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from erp_modules.fleet.certificates import Authority

FOLDER = "authority"
_LIFETIME = timedelta(days=3650)
# Of the broker and of our own processes, which nobody renews but people.
_SERVER_LIFETIME = timedelta(days=825)


class AuthorityError(RuntimeError):
    """The authority's files cannot be used."""


def open_authority(data_dir: Path) -> Authority:
    """Return the authority of a data folder, a new one when there is none.

    Raises:
        AuthorityError: a file cannot be read, or key and certificate do not belong together.
    """
    folder = data_dir / FOLDER
    key_path, certificate_path = folder / "authority.key", folder / "authority.pem"
    if not certificate_path.exists():
        _make(folder, key_path, certificate_path)
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise AuthorityError(f"{folder}: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{key_path}: not a P-256 key")
    if key.public_key() != certificate.public_key():
        raise AuthorityError(f"{folder}: key and certificate do not belong together")
    return Authority(key, certificate)


def write_server_certificate(authority: Authority, hosts: list[str], folder: Path) -> None:
    """Write `server.key` and `server.pem` for a broker that gateways reach by one of `hosts`."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        _builder(hosts[0], authority.certificate.subject, key.public_key(), now, _SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_private(folder / "server.key", _pem(key))
    write_whole(folder / "server.pem", certificate.public_bytes(serialization.Encoding.PEM))


def issue_service(authority: Authority, name: str, output: Path, now: datetime) -> str:
    """Write key and certificate of a process of our own into one file; return its broker user.

    Raises:
        ValueError: the name is more than letters, digits and lines.
    """
    if not re.fullmatch(r"[a-z0-9-]{1,40}", name):
        raise ValueError(f"{name!r}: write 1 to 40 small letters, digits and lines")
    user = f"urn:headrace:service:{name}"
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = request.sign(key, hashes.SHA256())
    issued = authority.issue(signed, user, name, now, _SERVER_LIFETIME)
    write_private(output, _pem(key) + issued.pem.encode())
    return user


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    _write(path, content, 0o600)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, durable when this returns."""
    _write(path, content, 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make(folder: Path, key_path: Path, certificate_path: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Headrace fleet")])
    certificate = (
        _builder("Headrace fleet", name, key.public_key(), datetime.now(UTC), _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    # The certificate last: without it there is no authority yet.
    write_private(key_path, _pem(key))
    write_whole(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + lifetime)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
