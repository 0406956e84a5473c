"""Who is let in, and which server is believed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edge_agent.drivers.base import Block, Lost
from edge_agent.drivers.opcua.security import UntrustedServerError, client_of, password_of
from edge_agent.drivers.opcua.session import connected


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Any]:
    return {
        "certificate": str(tmp_path / "own" / "client.der"),
        "private_key": str(tmp_path / "own" / "client.pem"),
        "create_certificate": True,
    }


@pytest.fixture
def theirs(house: Any) -> Path:
    certificate: Path = house.folder / "server.der"
    return certificate


def read(path: str | Path) -> bytes:
    return Path(path).read_bytes()


def remove(path: str) -> None:
    Path(path).unlink()


def mode_of(path: str) -> int:
    return Path(path).stat().st_mode


async def trust(house: Any, certificate: str) -> None:
    """Let a client in, as the server's administrator does."""
    shutil.copy(
        certificate, house.trusted / (hashlib.sha1(certificate.encode()).hexdigest() + ".der")
    )
    await house.do(house.store.load())


def device(uri: str) -> list[dict[str, Any]]:
    return [
        {
            "tag": "P",
            "points": [{"name": "Flow", "node": f"nsu={uri};s=Flow", "sample_rate_hz": 10.0}],
        }
    ]


def holds(item: Block | Lost) -> bool:
    return isinstance(item, Block) and 7.5 in item.samples["Flow"]


@pytest.mark.parametrize("security", ["sign", "sign_and_encrypt"])
async def test_a_signed_session_brings_values_once_both_trust_each_other(
    house: Any, taking: Any, keys: dict[str, Any], theirs: Path, security: str
) -> None:
    uri = f"urn:secure:{security}"
    await house.do(house.add(uri, "Flow", 7.5))
    run = taking(
        house.url,
        security=security,
        server_certificate=str(theirs),
        devices=device(uri),
        lost_after_s=1.0,
        **keys,
    )

    # The server does not know us yet.
    lost = await run.until(lambda item: isinstance(item, Lost) and "Bad" in item.reason)
    assert "BadCertificateUntrusted" in lost.reason or "BadSecurityChecksFailed" in lost.reason
    assert mode_of(keys["private_key"]) & 0o077 == 0
    await trust(house, keys["certificate"])

    await run.until(holds)


@pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha256])
async def test_a_server_is_pinned_by_its_thumbprint(
    house: Any, make: Any, keys: dict[str, Any], theirs: Path, digest: Any
) -> None:
    thumbprint = digest(read(theirs)).hexdigest()
    options = make(house.url, security="sign_and_encrypt", server_thumbprint=thumbprint, **keys)
    await client_of(options)
    await trust(house, keys["certificate"])

    async with connected(options) as session:
        assert session.namespaces[1] == "urn:house"


@pytest.mark.parametrize("security", ["none", "sign_and_encrypt"])
async def test_a_server_with_another_certificate_is_refused(
    house: Any, make: Any, keys: dict[str, Any], security: str
) -> None:
    options = make(house.url, security=security, server_thumbprint="0" * 40, **keys)

    with pytest.raises(UntrustedServerError, match="server_thumbprint is another"):
        async with connected(options):
            pass


async def test_a_server_that_is_not_pinned_is_refused_and_its_thumbprint_shown(
    house: Any, make: Any, keys: dict[str, Any], theirs: Path
) -> None:
    options = make(house.url, security="sign", **keys)

    with pytest.raises(UntrustedServerError, match="set server_thumbprint") as refused:
        async with connected(options):
            pass
    assert hashlib.sha256(read(theirs)).hexdigest() in str(refused.value)


async def test_another_certificate_in_the_servers_place_is_refused(
    house: Any, make: Any, keys: dict[str, Any], tmp_path: Path
) -> None:
    other = dict(keys, certificate=str(tmp_path / "o.der"), private_key=str(tmp_path / "o.pem"))
    await client_of(make(house.url, **other))
    options = make(
        house.url, security="none", server_certificate=other["certificate"], devices=[], **keys
    )

    with pytest.raises(UntrustedServerError, match="is not server_certificate"):
        async with connected(options):
            pass


async def test_our_name_is_the_certificates(
    house: Any, make: Any, keys: dict[str, Any], tmp_path: Path
) -> None:
    await client_of(make(house.url, application_uri="urn:gateway-7", **keys))
    certificate = x509.load_der_x509_certificate(read(keys["certificate"]))
    pem = tmp_path / "client.crt"
    pem.write_bytes(certificate.public_bytes(Encoding.PEM))

    client = await client_of(make(house.url, certificate=str(pem), private_key=keys["private_key"]))

    assert client.application_uri == "urn:gateway-7"


async def test_a_certificate_is_made_once_for_long_and_keeps_its_key(
    house: Any, make: Any, keys: dict[str, Any]
) -> None:
    options = make(house.url, **keys)
    await client_of(options)
    first, key = read(keys["certificate"]), read(keys["private_key"])
    made = x509.load_der_x509_certificate(first)
    assert (made.not_valid_after_utc - made.not_valid_before_utc).days > 15 * 365

    await client_of(options)
    assert read(keys["certificate"]) == first
    remove(keys["certificate"])
    await client_of(options)
    assert read(keys["certificate"]) != first
    assert read(keys["private_key"]) == key

    remove(keys["private_key"])
    with pytest.raises(ValueError, match="is missing beside the certificate"):
        await client_of(options)


@pytest.fixture
def word(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPCUA_TEST_PASSWORD", "Gäste 1")
    return "OPCUA_TEST_PASSWORD"


async def test_a_password_is_sent_encrypted(house: Any, make: Any, word: str) -> None:
    options = make(house.url, user="operator", password_env=word)

    async with connected(options) as session:
        users = {s.user.name for s in house.server.iserver._external_sessions.values()}
        assert session.namespaces
        assert "operator" in users


async def test_a_wrong_password_is_refused(house: Any, make: Any, tmp_path: Path) -> None:
    written = tmp_path / "word"
    written.write_text("guess\nsecond line\n")
    options = make(house.url, user="operator", password_file=str(written))

    assert password_of(options) == "guess"
    with pytest.raises(OSError, match=r"BadUserAccessDenied|BadIdentityTokenRejected"):
        async with connected(options):
            pass


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_password_is_not_sent_for_everybody_to_read(
    house: Any, make: Any, word: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for endpoint in house.server.iserver.endpoints:
        for token in endpoint.UserIdentityTokens:
            if token.PolicyId == "username":
                monkeypatch.setattr(
                    token, "SecurityPolicyUri", "http://opcfoundation.org/UA/SecurityPolicy#None"
                )
    options = make(house.url, user="operator", password_env=word, allow_plain_password=allowed)

    if allowed:
        async with connected(options) as session:
            assert session.namespaces
        return
    with pytest.raises(OSError, match="everybody on the network can read it"):
        async with connected(options):
            pass


def test_a_password_that_is_not_there_is_named(make: Any) -> None:
    with pytest.raises(ValueError, match="password_env: NO_SUCH_WORD is not set"):
        password_of(make("opc.tcp://plc", user="operator", password_env="NO_SUCH_WORD"))
