"""Certificates of gateways: what is asked for, what is issued, what proves a key; pure.

X.509 v3 (RFC 5280) with P-256 keys; the extended key usage lets them be clients only. The subject
alternative name is the broker's user (docs/contracts.md, Enrolment).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from erp_modules.fleet.errors import ProofRefused
from erp_modules.kernel.errors import InvalidArgument

LIFETIME = timedelta(days=30)
# A gateway's clock may be a little behind ours.
_EARLIER = timedelta(minutes=5)
_LONGEST_PEM = 16_384
_USER = "urn:headrace:gateway:{key}:{generation}"


@dataclass(frozen=True)
class Certificate:
    """A certificate with what is kept of it."""

    pem: str
    serial: str
    key_fingerprint: str
    not_after: datetime


@dataclass(frozen=True)
class Authority:
    """Who issues."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def issue(
        self,
        request: x509.CertificateSigningRequest,
        user: str,
        edge_node: str,
        now: datetime,
        lifetime: timedelta = LIFETIME,
    ) -> Certificate:
        """Issue a certificate for the key of a request; names are ours, never the request's."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, edge_node)]))
            .issuer_name(self.certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(min(now + lifetime, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(user)]), critical=False
            )
            .add_extension(_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        made = builder.sign(self.key, hashes.SHA256())
        return Certificate(
            pem=made.public_bytes(Encoding.PEM).decode(),
            serial=serial_of(made),
            key_fingerprint=fingerprint(request),
            not_after=made.not_valid_after_utc,
        )


def user_of(gateway: str, generation: int) -> str:
    """Return the broker's user of a gateway's certificates, ASCII whatever its name.

    >>> user_of("bottling~edge-01", 2)
    'urn:headrace:gateway:60d58d92e86f7110:2'
    """
    key = hashlib.sha256(gateway.encode()).hexdigest()[:16]
    return _USER.format(key=key, generation=generation)


def request_of(pem: str, field: str) -> x509.CertificateSigningRequest:
    """Return a signing request whose own signature is right and whose key is P-256.

    Raises:
        InvalidArgument: it is none; the error names `field`.
    """
    try:
        if len(pem) > _LONGEST_PEM:
            raise ValueError("too long")
        request = x509.load_pem_x509_csr(pem.encode())
        key = request.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise ValueError("its key is not P-256")
        if not request.is_signature_valid:
            raise ValueError("its signature is wrong")
    except (ValueError, TypeError) as error:
        raise InvalidArgument.field(field, f"is no PKCS#10 request: {error}") from error
    return request


def fingerprint(holder: x509.CertificateSigningRequest | x509.Certificate) -> str:
    """Return the SHA-256 of a public key, by which it is known again."""
    key = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def serial_of(certificate: x509.Certificate) -> str:
    """Return the serial number, lower-case hexadecimal."""
    return format(certificate.serial_number, "x")


def proven(
    certificate_pem: str, csr_pem: str, signature: bytes, authority: x509.Certificate, now: datetime
) -> x509.Certificate:
    """Return the certificate whose key signed a request, when it is the authority's and good.

    Raises:
        ProofRefused: it is not, or the signature is wrong.
    """
    try:
        if len(certificate_pem) > _LONGEST_PEM:
            raise ValueError("too long")
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise ProofRefused("the certificate is not ours") from error
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise ProofRefused("the certificate has expired")
    key = certificate.public_key()
    try:
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError("not P-256")
        key.verify(signature, csr_pem.encode(), ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature) as error:
        raise ProofRefused("the request is not signed by the certificate's key") from error
    return certificate


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
