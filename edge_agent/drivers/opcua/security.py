"""Who we are to the server, and which server is the right one."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from asyncua import ua
from asyncua.crypto import cert_gen, security_policies, uacrypto
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge_agent.drivers.opcua.library import Client, certificate_of
from edge_agent.drivers.opcua.options import Options

log = structlog.get_logger(__name__)

DEFAULT_APPLICATION_URI: Final = "urn:headrace:edge-agent"
# A server's administrator accepts a certificate once, and does not come back.
_VALID_DAYS: Final = 20 * 365
_WARN_DAYS: Final = 60
# Of a common name, RFC 5280.
_LONGEST_NAME: Final = 64


class UntrustedServerError(ConnectionError):
    """The server shows another certificate than the trusted one, or none is trusted yet."""


def check_files(options: Options) -> None:
    """Read every file that a connection needs.

    Raises:
        ValueError: one is missing or holds no certificate or key; the message names the option.
    """
    if options.certificate and not (options.create_certificate and not _made(options)):
        _certificate("certificate", options.certificate)
        _key(options.private_key)
    if options.server_certificate:
        _certificate("server_certificate", options.server_certificate)
    if options.password_file:
        password_of(options)


def password_of(options: Options) -> str | None:
    """Return the user's password, or None when there is none.

    Raises:
        ValueError: the variable or the file that should hold it does not.
    """
    if options.password_env:
        password = os.environ.get(options.password_env)
        if password is None:
            raise ValueError(f"password_env: {options.password_env} is not set")
        return password
    if options.password_file:
        lines = _read("password_file", options.password_file).decode("utf-8").splitlines()
        if not lines:
            raise ValueError(f"password_file: {options.password_file} is empty")
        return lines[0]
    return None


async def client_of(options: Options) -> Client:
    """Return a client that is ready to connect with the security that was asked for.

    With security, and a thumbprint to trust, the server is asked for its certificate first.

    Raises:
        UntrustedServerError: the certificate is not the trusted one.
        OSError, UaError: the server cannot be asked.
        ValueError: a file is missing or no such.
    """
    client = Client(options.endpoint, timeout=options.request_timeout_s)
    client.name = client.description = "Headrace edge agent"
    client.product_uri = DEFAULT_APPLICATION_URI
    client.session_timeout = round(options.session_timeout_s * 1000)
    client.application_uri = options.application_uri or DEFAULT_APPLICATION_URI
    if options.certificate:
        if options.create_certificate:
            _make_certificate(options, client.application_uri)
        ours = _certificate("certificate", options.certificate)
        _check_expiry(ours)
        if not options.application_uri:
            client.application_uri = _uri_of(ours) or client.application_uri
    if options.security == "none":
        return client
    policy: type[security_policies.SecurityPolicy] = getattr(
        security_policies, f"SecurityPolicy{options.policy}"
    )
    mode = {
        "sign": ua.MessageSecurityMode.Sign,
        "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt,
    }[options.security]
    if options.server_certificate:
        theirs = _certificate("server_certificate", options.server_certificate)
    else:
        endpoints = await client.connect_and_get_server_endpoints()
        endpoint = Client.find_endpoint(endpoints, mode, policy.URI)
        shown = certificate_of(endpoint.ServerCertificate)
        check_trust(options, shown)
        if shown is None:
            raise UntrustedServerError(_shown(None))
        theirs = shown
    await client.set_security(
        policy,
        uacrypto.CertProperties(_der(ours), "DER"),
        uacrypto.CertProperties(_key(options.private_key), "DER"),
        server_certificate=uacrypto.CertProperties(_der(theirs), "DER"),
        mode=mode,
    )
    return client


def check_trust(options: Options, theirs: x509.Certificate | None) -> None:
    """Raise `UntrustedServerError` when the server's certificate is not the pinned one.

    Without security nothing need be pinned; what is pinned is held to all the same.
    """
    if options.server_certificate:
        pinned = _certificate("server_certificate", options.server_certificate)
        if theirs is None or _der(theirs) != _der(pinned):
            raise UntrustedServerError(f"{_shown(theirs)}; it is not server_certificate")
        return
    if not options.server_thumbprint:
        if options.security == "none":
            return
        raise UntrustedServerError(
            f"{_shown(theirs)}; when it is the right one, set server_thumbprint to it"
        )
    algorithm = hashes.SHA1() if len(options.pinned_thumbprint) == 40 else hashes.SHA256()
    if theirs is None or theirs.fingerprint(algorithm).hex() != options.pinned_thumbprint:
        raise UntrustedServerError(f"{_shown(theirs)}; server_thumbprint is another")


def _shown(certificate: x509.Certificate | None) -> str:
    if certificate is None:
        return "the server shows no certificate"
    return (
        f"the server shows the certificate {certificate.subject.rfc4514_string()} "
        f"with the thumbprint {certificate.fingerprint(hashes.SHA256()).hex()}"
    )


def _made(options: Options) -> bool:
    return Path(options.certificate).exists() and Path(options.private_key).exists()


def _make_certificate(options: Options, application_uri: str) -> None:
    """Make our certificate (OPC 10000-6, 6.2.2) and, unless there is one, its key.

    Raises:
        ValueError: there is a certificate without its key.
    """
    if _made(options):
        return
    if Path(options.certificate).exists():
        raise ValueError(f"private_key: {options.private_key} is missing beside the certificate")
    for name in (options.certificate, options.private_key):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
    key = _rsa_key(options.private_key)
    certificate = cert_gen.generate_self_signed_app_certificate(
        key,
        f"Headrace edge agent@{socket.gethostname()}"[:_LONGEST_NAME],
        {"organizationName": "Headrace"},
        [
            x509.UniformResourceIdentifier(application_uri),
            x509.DNSName(socket.gethostname()),
        ],
        [ExtendedKeyUsageOID.CLIENT_AUTH],
        days=_VALID_DAYS,
    )
    Path(options.certificate).write_bytes(_der(certificate))


def _rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Return the key in a file, made when it is not there."""
    if not Path(name).exists():
        made = cert_gen.generate_private_key()
        # Nobody else may read it, not even for a moment.
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(cert_gen.dump_private_key_as_pem(made))
        return made
    key = serialization.load_der_private_key(_key(name), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"private_key: {name} is no RSA key")
    return key


def _check_expiry(certificate: x509.Certificate) -> None:
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    if left.days < _WARN_DAYS:
        log.warning("our certificate ends soon, or has ended", days_left=left.days)


def _read(field: str, name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ValueError(f"{field}: {name}: {error.strerror}") from error


def _certificate(field: str, name: str) -> x509.Certificate:
    data = _read(field, name)
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise ValueError(f"{field}: {name} holds no certificate: {error}") from error


def _key(name: str) -> bytes:
    """Return the private key as DER."""
    data = _read("private_key", name)
    load = (
        serialization.load_pem_private_key
        if b"-----BEGIN" in data
        else serialization.load_der_private_key
    )
    try:
        key = load(data, None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"private_key: {name} holds no key without a password: {error}") from error
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _uri_of(certificate: x509.Certificate) -> str | None:
    """Return the application URI that a certificate names (OPC 10000-6, 6.2.2)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
    return next(iter(names.value.get_values_for_type(x509.UniformResourceIdentifier)), None)
