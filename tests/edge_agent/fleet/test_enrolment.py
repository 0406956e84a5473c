"""A gateway gets its own certificate, and another before it ends; its key never leaves."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edge_agent import settings
from edge_agent.fleet import identity
from edge_agent.fleet.enrolment import EnrolmentError, enrol, renew
from edge_agent.fleet.identity import Identity


@pytest.fixture
def own(gateway_file: Path) -> Identity:
    return identity.of(settings.read(gateway_file))


def parts(own: Identity) -> tuple[x509.Certificate, Any]:
    """Return certificate and private key, which must belong together."""
    pem = own.certificate.read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    key = serialization.load_pem_private_key(pem, None)
    assert certificate.public_key() == key.public_key()
    return certificate, key


def test_a_token_yields_a_certificate_of_its_own(
    door: Any, gateway_file: Path, own: Identity
) -> None:
    enrolled = enrol(door.url, "one-time", gateway_file)

    certificate, _ = parts(own)
    certificate.verify_directly_issued_by(door.authority.certificate)
    ((_, body),) = door.asked
    assert (body["site"], body["edgeNode"]) == ("riverside", "gw-1")
    assert "PRIVATE" not in json.dumps(body)
    assert own.certificate.stat().st_mode & 0o777 == 0o600
    assert own.folder.stat().st_mode & 0o777 == 0o700
    assert own.root.read_bytes() == b'{"signed": {}}'
    validity = own.read_validity()
    assert validity is not None
    assert validity.not_after_s == enrolled.not_after.timestamp()
    assert int(validity.serial, 16) == certificate.serial_number
    thirds = (validity.renewal_s - validity.not_before_s) / (
        validity.not_after_s - validity.not_before_s
    )
    assert thirds == pytest.approx(2 / 3)


def test_its_lines_make_a_good_gateway_file(door: Any, gateway_file: Path, own: Identity) -> None:
    enrolled = enrol(door.url, "one-time", gateway_file)

    gateway_file.write_text(gateway_file.read_text() + enrolled.lines)
    broker = settings.read(gateway_file, {}).gateway.broker

    assert (broker.host, broker.port) == ("127.0.0.1", 8883)
    assert (broker.certificate, broker.key) == (str(own.certificate), str(own.certificate))
    assert broker.ca == str(own.authority)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a, other: {**a, "caPem": other.pem}, "not issued by caPem"),
        (lambda a, other: {**a, "certificatePem": other.pem}, "it is for another key"),
        (lambda a, _: {**a, "certificatePem": "x"}, "certificatePem"),
        (lambda a, _: {**a, "tufRoot": "%%%"}, "tufRoot"),
        (lambda a, _: {**a, "brokerPort": 0}, "brokerPort"),
        (lambda a, _: {**a, "brokerHost": ""}, "the answer has no brokerHost"),
    ],
)
def test_what_does_not_fit_together_changes_nothing(
    door: Any, gateway_file: Path, own: Identity, change: Any, reason: str
) -> None:
    other = type(door.authority)("Stranger")
    door.change = lambda answer: change(answer, other)

    with pytest.raises(EnrolmentError, match=reason):
        enrol(door.url, "one-time", gateway_file)

    assert not own.folder.exists()


def test_a_certificate_that_has_ended_is_refused(
    door: Any, gateway_file: Path, own: Identity
) -> None:
    door.life, door.age = timedelta(seconds=-1), timedelta(days=1)

    with pytest.raises(EnrolmentError, match="is this gateway's clock right"):
        enrol(door.url, "one-time", gateway_file)

    assert not own.folder.exists()


def test_a_wrong_token_is_said(door: Any, gateway_file: Path, own: Identity) -> None:
    with pytest.raises(EnrolmentError, match="the server says 401: the token is not good"):
        enrol(door.url, "guessed", gateway_file)

    assert not own.folder.exists()


def test_a_server_that_is_away_is_said(gateway_file: Path) -> None:
    with pytest.raises(EnrolmentError, match="refused"):
        enrol("http://127.0.0.1:1", "one-time", gateway_file)


def test_a_renewal_has_another_key_by_the_word_of_the_old_one(
    door: Any, gateway_file: Path, own: Identity
) -> None:
    enrol(door.url, "one-time", gateway_file)
    before, old_key = parts(own)

    renew(door.url, gateway_file)

    after, key = parts(own)
    assert after.serial_number != before.serial_number
    assert key.public_key() != old_key.public_key()
    assert own.certificate.stat().st_mode & 0o777 == 0o600
    validity = own.read_validity()
    assert validity is not None
    assert int(validity.serial, 16) == after.serial_number
    # And again, now by the word of the newer one.
    renew(door.url, gateway_file)
    assert parts(own)[0].serial_number != after.serial_number


def test_a_renewal_that_fails_leaves_what_there_was(
    door: Any, gateway_file: Path, own: Identity
) -> None:
    enrol(door.url, "one-time", gateway_file)
    before = own.certificate.read_bytes()
    door.change = lambda answer: {**answer, "certificatePem": door.authority.pem}

    with pytest.raises(EnrolmentError, match="for another key"):
        renew(door.url, gateway_file)

    assert own.certificate.read_bytes() == before


def test_a_renewal_needs_an_enrolment(door: Any, gateway_file: Path) -> None:
    with pytest.raises(EnrolmentError, match="enrol this gateway first"):
        renew(door.url, gateway_file)
    assert door.asked == []


def test_a_renewal_takes_a_new_authority_along(
    door: Any, gateway_file: Path, own: Identity
) -> None:
    enrol(door.url, "one-time", gateway_file)
    asked = door.authority
    later = type(asked)("Later")
    # The server still knows the old certificate, and signs with the new authority.
    door.change = lambda answer: {
        **answer,
        "caPem": later.pem,
        "certificatePem": later.issue(
            x509.load_pem_x509_csr(door.asked[-1][1]["csrPem"].encode()).public_key(),
            later.name,
            timedelta(days=3),
        )
        .public_bytes(serialization.Encoding.PEM)
        .decode(),
    }

    renew(door.url, gateway_file)

    assert own.authority.read_text() == later.pem
    parts(own)[0].verify_directly_issued_by(later.certificate)


def test_the_command_prints_the_broker_table(door: Any, gateway_file: Path) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "edge_agent.fleet", "enrol", str(gateway_file)),
            *("--server", door.url, "--token", "one-time"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert tomllib.loads(ended.stdout)["broker"]["port"] == 8883
