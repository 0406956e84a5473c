"""`headrace fleet …` as the people of a plant run it, beside a real server."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tuf.api.metadata import Metadata, Root, Targets
from typer.testing import CliRunner, Result

from cloud_api.fleet_authority import open_authority
from edge_agent.inference import MODELS
from headrace.broker import Broker, BrokerError, TlsFiles, free_port
from headrace.cli import app
from headrace.client import ApiClient, ApiError
from headrace.fleet import app as fleet
from headrace.fleet import keys as key_commands
from headrace.supervisor import Child

TOKEN = "a-token-of-the-server-0123456789"
PASSWORD = "a long password"


def run(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(app, ["fleet", *map(str, arguments)], env=environment)


def good(*arguments: str | Path, **environment: str) -> str:
    done = run(*arguments, **environment)
    assert done.exit_code == 0, done.output
    return done.stdout


def only_the_owner_reads(path: Path) -> bool:
    return path.stat().st_mode & 0o077 == 0


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    good("keys", "init", tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server, its keys, its address, and a bearer token of the administrator."""
    root = tmp_path_factory.mktemp("server")
    keys, data, port = root / "keys", root / "data", free_port()
    good("keys", "init", keys)
    good("keys", "install", keys, "--data-dir", data)
    broker = Broker(root / "broker")
    broker.start()
    child = Child(
        "cloud_api",
        ["-m", "cloud_api"],
        {
            **broker.environment,
            "HEADRACE_DATA_DIR": str(data),
            "HEADRACE_HTTP_PORT": str(port),
            "HEADRACE_GRPC_PORT": str(free_port()),
            "HEADRACE_ADMIN_PASSWORD": PASSWORD,
            "HEADRACE_API_TOKEN": TOKEN,
        },
        root / "cloud.log",
    )
    try:
        child.start()
        with ApiClient(f"http://127.0.0.1:{port}") as client:
            until(client.ready, child)
            client.sign_in("admin", PASSWORD)
            token = client.post("/v1/session/tokens", {"title": "releases"})["token"]
            yield SimpleNamespace(
                url=f"http://127.0.0.1:{port}", token=token, client=client, keys=keys
            )
    finally:
        child.stop()
        broker.stop()


def until(condition: Callable[[], bool], child: Child) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, child.tail()
        time.sleep(0.05)


def shipped_model(folder: Path, version: str, weights: bytes = b"") -> Path:
    card = json.loads((MODELS / "fan.json").read_text()) | {"version": version}
    path = folder / f"fan-{version}.tflite"
    path.write_bytes(weights or (MODELS / "fan.tflite").read_bytes())
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


# keys --------------------------------------------------------------------------------------


def test_keys_are_the_owners_and_never_overwritten(keys: Path) -> None:
    made = [*keys.glob("offline/*.key"), keys / "server" / "online.key"]
    assert {path.name for path in made} == {"root-1.key", "targets.key", "online.key"}
    assert all(map(only_the_owner_reads, made))
    assert "never overwritten" in run("keys", "init", keys).output


def test_the_server_gets_its_part_and_no_more(keys: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    printed = good("keys", "install", keys, "--data-dir", data)
    assert printed.strip() == str(data / "updates")
    installed = {path.name for path in (data / "updates").rglob("*.key")}
    assert installed == {"online.key"}
    assert only_the_owner_reads(data / "updates" / "online.key")
    again = run("keys", "install", keys, "--data-dir", data)
    assert again.exit_code == 2
    assert "already" in again.output
    bare = run("keys", "install", tmp_path / "nowhere", "--data-dir", tmp_path / "other")
    assert bare.exit_code == 2
    assert "nowhere" in bare.output


def test_keys_under_a_passphrase_and_by_several_people(tmp_path: Path) -> None:
    folder, data, secret = tmp_path / "keys", tmp_path / "data", "open sesame"
    refused = run("keys", "init", folder, "--root-keys", "2", "--threshold", "3")
    assert refused.exit_code == 2
    assert not folder.exists()
    good("keys", "init", folder, "--root-keys", "3", "--threshold", "2",
         HEADRACE_KEYS_PASSPHRASE=secret)  # fmt: skip
    with pytest.raises(TypeError):
        load_pem_private_key((folder / "offline" / "root-1.key").read_bytes(), None)
    root = Metadata[Root].from_file(str(folder / "server" / "metadata" / "1.root.json")).signed
    assert (root.roles["root"].threshold, len(root.roles["root"].keyids)) == (2, 3)

    good("keys", "install", folder, "--data-dir", data)
    wrong = run("keys", "renew-root", folder, "--data-dir", data)
    assert wrong.exit_code == 2
    assert "Traceback" not in wrong.output
    good("keys", "renew-root", folder, "--data-dir", data, HEADRACE_KEYS_PASSPHRASE=secret)
    renewed = Metadata[Root].from_file(str(data / "updates" / "metadata" / "2.root.json"))
    assert renewed.signed.expires - datetime.now(UTC) > timedelta(days=700)
    renewed.verify_delegate("root", renewed)


# releases ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_models_and_configurations_are_published(
    server: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, to = server.keys, ("--server", server.url, "--token", server.token)
    model = shipped_model(tmp_path, "2.0")
    assert good("publish", keys, *to, "--model", model).startswith("releases/model~fan~2.0  ")
    gateway = tmp_path / "gateway.toml"
    gateway.write_text('site = "s"\nedge_node = "e"\n')
    named = ("--configuration", gateway, "--name", "line-1", "--version", "1")
    assert good("publish", keys, *to, *named).startswith("releases/configuration~line-1~1  ")
    assert good("publish", keys, *to) == ""  # signed again: nothing new
    published = {one["name"] for one in server.client.list("releases")}
    assert published == {"releases/model~fan~2.0", "releases/configuration~line-1~1"}

    # A version never changes.
    other = shipped_model(tmp_path, "2.0", b"other weights")
    changed = run("publish", keys, *to, "--model", other)
    assert changed.exit_code == 2
    assert "choose another version" in " ".join(changed.output.split())

    # Without the answer: cut off after the server had it, then before.
    post = ApiClient.post

    def cut_off_after(self: ApiClient, path: str, body: dict[str, object]) -> None:
        post(self, path, body)
        raise ApiError(0, "", "cut off")

    def cut_off_before(self: ApiClient, path: str, body: dict[str, object]) -> None:
        raise ApiError(0, "", "cut off")

    for number, cut in enumerate((cut_off_after, cut_off_before)):
        version = f"3.{number}"
        model = shipped_model(tmp_path, version)
        with monkeypatch.context() as patch:
            patch.setattr(ApiClient, "post", cut)
            assert "cut off" in run("publish", keys, *to, "--model", model).output
        good("publish", keys, *to, "--model", model)
        names = [one["name"] for one in server.client.list("releases")]
        assert names.count(f"releases/model~fan~{version}") == 1
    # A refusal leaves the keys as they were: what follows is taken.
    nobody = run("publish", keys, "--server", server.url, "--token", "x" * 40, "--model",
                 shipped_model(tmp_path, "4.0"))  # fmt: skip
    assert nobody.exit_code == 2
    assert good("publish", keys, *to, "--model", shipped_model(tmp_path, "4.1")) != ""
    kept = Metadata[Targets].from_file(str(keys / "offline" / "targets.json")).signed
    assert "models/fan/4.0/model.tflite" not in kept.targets
    assert only_the_owner_reads(keys / "offline" / "targets.key")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--model", "{folder}/none.tflite"], "none.json"),
        (["--configuration", "{folder}/none.toml", "--name", "a", "--version", "1"], "none.toml"),
        (["--configuration", "{file}", "--name", "a b", "--version", "1"], "'a b'"),
        (["--configuration", "{file}"], "''"),
        (["--model", "{folder}/fan-1.tflite", "--server", "http://127.0.0.1:{port}"], "--server"),
    ],
    ids=["no model", "no file", "bad name", "no name", "no server"],
)
def test_what_cannot_be_published_is_named(
    keys: Path, tmp_path: Path, arguments: list[str], named: str
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("")
    shipped_model(tmp_path, "1")
    before = (keys / "offline" / "targets.json").read_bytes()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        given = [a.format(folder=tmp_path, file=file, port=port) for a in arguments]
        done = run("publish", keys, *given)
    assert done.exit_code == 2, done.output
    assert named in done.output.replace("\n", "")
    assert "Traceback" not in done.output
    assert (keys / "offline" / "targets.json").read_bytes() == before


# tokens ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_token_is_told_once(server: SimpleNamespace) -> None:
    to = ("--server", server.url, "--token", server.token)
    printed = good("token", "plant", "press-*", *to, "--hours", "2")
    assert re.fullmatch(r"hre_[a-z0-9]{32,}\n", printed)
    (kept,) = server.client.list("enrolmentTokens", site="plant")
    assert kept["edgeNode"] == "press-*"
    assert printed.strip() not in json.dumps(kept)
    lasts = datetime.fromisoformat(kept["expireTime"]) - datetime.now(UTC)
    assert timedelta(hours=1.9) < lasts <= timedelta(hours=2)

    refused = run("token", "plant", "press-1", "--server", server.url, "--token", "x" * 40)
    assert refused.exit_code == 2
    assert "hre_" not in refused.output


# the broker --------------------------------------------------------------------------------


def test_a_broker_starts_with_what_was_written_and_keeps_its_list(tmp_path: Path) -> None:
    data = tmp_path / "data"
    broker = Broker(tmp_path / "nats", tls=TlsFiles(data / "broker"))
    written = good("broker", "gateways.example", "127.0.0.1", "--data-dir", data,
                   **broker.environment)  # fmt: skip
    folder = Path(written.strip())
    assert folder == data / "broker"
    certificate = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gateways.example"]
    certificate.verify_directly_issued_by(open_authority(data).certificate)
    assert only_the_owner_reads(folder / "server.key")
    assert only_the_owner_reads(folder / "users.conf")
    broker.start()
    broker.stop()

    # Again is another certificate of the same authority; who was let in stays.
    (folder / "users.conf").write_text("users: []\n")
    good("broker", "127.0.0.1", "--data-dir", data, **broker.environment)
    another = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    assert another.serial_number != certificate.serial_number
    assert (folder / "users.conf").read_text() == "users: []\n"


def test_a_broker_without_the_servers_password_is_not_made(tmp_path: Path) -> None:
    done = run("broker", "127.0.0.1", "--data-dir", tmp_path, "--user", "headrace",
               "--password", "")  # fmt: skip
    assert done.exit_code == 2
    assert "--password" in done.output
    assert not (tmp_path / "broker").exists()
    with pytest.raises(BrokerError):
        Broker(tmp_path / "nats", tls=TlsFiles(tmp_path / "broker")).start()


def test_a_service_has_a_certificate_that_outlasts_a_year(tmp_path: Path) -> None:
    output = tmp_path / "processor.pem"
    user = good("service-certificate", "processor", output, "--data-dir", tmp_path)
    assert user == "urn:headrace:service:processor\n"
    assert only_the_owner_reads(output)
    certificate = x509.load_pem_x509_certificate(output.read_bytes())
    key = load_pem_private_key(output.read_bytes(), None)
    assert certificate.public_key() == key.public_key()
    assert certificate.not_valid_after_utc - datetime.now(UTC) > timedelta(days=365)
    refused = run("service-certificate", "Not A Name", output, "--data-dir", tmp_path)
    assert refused.exit_code == 2
    assert "Not A Name" in refused.output


COMMANDS = [
    *(["keys", str(one.name)] for one in key_commands.registered_commands),
    *([one.name or one.callback.__name__] for one in fleet.registered_commands if one.callback),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does(command: list[str]) -> None:
    told = run(*command, "--help")
    assert told.exit_code == 0
    assert "Usage" in told.output
