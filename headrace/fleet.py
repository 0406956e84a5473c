"""Commands for the fleet: keys, releases, the broker's certificates, one-time tokens."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from headrace.terminal import fail, notices

if TYPE_CHECKING:
    from headrace.client import ApiClient
    from headrace.release_signing import Signed

app = typer.Typer(no_args_is_help=True, help="The gateways, and what they are given.")
keys = typer.Typer(no_args_is_help=True, help="Keys of the update repository.")
app.add_typer(keys, name="keys")

Keys = Annotated[Path, typer.Argument(help="Folder of the keys.")]
DataDir = Annotated[
    Path, typer.Option(envvar="HEADRACE_DATA_DIR", help="The server's data folder.")
]
Passphrase = Annotated[
    str, typer.Option(envvar="HEADRACE_KEYS_PASSPHRASE", help="Of the offline keys; empty: none.")
]
Server = Annotated[str, typer.Option(help="Address of the server.")]
Token = Annotated[str, typer.Option(envvar="HEADRACE_API_TOKEN", help="Bearer token.")]
ADDRESS = "http://127.0.0.1:8080"


@keys.command("init")
def init(
    folder: Keys,
    root_keys: Annotated[int, typer.Option(min=1, max=9, help="How many root keys.")] = 1,
    threshold: Annotated[int, typer.Option(min=1, max=9, help="How many must sign.")] = 1,
    passphrase: Passphrase = "",
) -> None:
    """Make the keys of an update repository: some for a safe, one for the server."""
    from headrace import release_signing

    try:
        release_signing.make_keys(folder, root_keys, threshold, passphrase)
    except release_signing.SigningError as error:
        raise fail(escape(str(error))) from error
    notices.print(f"Keep {folder / 'offline'} away from every server, and a copy of it.")
    notices.print(f"Then: headrace fleet keys install {folder} --data-dir …")


@keys.command("install")
def install(folder: Keys, data_dir: DataDir = Path(".headrace")) -> None:
    """Give the server its part of the keys; it must be started again."""
    from cloud_api.updates import FOLDER
    from headrace import release_signing

    try:
        release_signing.install(folder, data_dir / FOLDER)
    except (release_signing.SigningError, OSError) as error:
        raise fail(escape(str(error))) from error
    typer.echo(data_dir / FOLDER)


@keys.command("renew-root")
def renew_root(
    folder: Keys, data_dir: DataDir = Path(".headrace"), passphrase: Passphrase = ""
) -> None:
    """Sign the root metadata for two more years."""
    from cloud_api.updates import FOLDER, RepositoryMissingError, UpdateRepository
    from erp_modules.kernel.errors import ServiceError
    from headrace import release_signing

    try:
        repository = UpdateRepository(data_dir / FOLDER)
        repository.publish_root(release_signing.next_root(folder, repository.root(), passphrase))
    except (release_signing.SigningError, RepositoryMissingError, ServiceError) as error:
        raise fail(escape(str(error))) from error


@app.command()
def publish(
    folder: Keys,
    server: Server = ADDRESS,
    token: Token = "",
    model: Annotated[
        Path | None, typer.Option(help="A `.tflite` file, with its card beside it as `.json`.")
    ] = None,
    configuration: Annotated[
        Path | None, typer.Option(help="A gateway file, with --name and --version.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the configuration.")] = "",
    version: Annotated[str, typer.Option(help="Of the configuration.")] = "",
    passphrase: Passphrase = "",
) -> None:
    """Sign a model or a configuration, and give it to the server; without one, sign again."""
    from headrace import release_signing
    from headrace.client import ApiClient

    with _told():
        files: dict[str, bytes] = {}
        if model is not None:
            files |= release_signing.model_files(model, model.with_suffix(".json"))
        if configuration is not None:
            files |= release_signing.configuration_files(name, version, configuration)
        with ApiClient(server, token=token) as api:
            _finish(api, folder)
            signed = release_signing.sign(folder, files, passphrase)
            release_signing.offer(folder, signed)
            answer = _publish(api, signed)
            release_signing.keep(folder, signed)
    for release in answer["releases"]:
        typer.echo(f"{release['name']}  {release['sha256']}")


def _publish(api: ApiClient, signed: Signed) -> dict[str, Any]:
    return api.post(
        "/v1/releases:publish",
        {
            "targets": base64.b64encode(signed.targets).decode(),
            "files": [
                {"path": path, "content": base64.b64encode(content).decode()}
                for path, content in signed.files.items()
            ],
        },
    )


def _finish(api: ApiClient, folder: Path) -> None:
    """Find out whether the server has what was signed last, when nobody saw its answer."""
    from headrace import release_signing
    from headrace.client import ApiError

    offered = release_signing.offered(folder)
    if offered is None:
        return
    try:
        _publish(api, offered)
    except ApiError as error:
        if error.code != "INVALID_ARGUMENT":
            raise
        # It was never published: sign anew on what was.
        release_signing.withdraw(folder)
    else:
        release_signing.keep(folder, offered)


@contextmanager
def _told() -> Iterator[None]:
    """Say in one line what went wrong here or at the server."""
    import httpx

    from headrace.client import ApiError
    from headrace.release_signing import SigningError

    try:
        yield
    except (ApiError, SigningError) as error:
        raise fail(escape(str(error))) from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise fail(f"--server: it cannot be reached: {escape(str(error))}") from error


@app.command()
def token(
    site: Annotated[str, typer.Argument(help="The gateway's site.")],
    edge_node: Annotated[str, typer.Argument(help="Its edge node; `*` stands for anything.")],
    server: Server = ADDRESS,
    token: Token = "",
    hours: Annotated[float, typer.Option(min=0.01, max=720, help="How long it is good.")] = 24.0,
) -> None:
    """Make a one-time token that enrols a gateway; it is told this once."""
    from headrace.client import ApiClient

    with _told(), ApiClient(server, token=token) as api:
        answer = api.post(
            "/v1/enrolmentTokens:issue",
            {"site": site, "edgeNode": edge_node, "lifetime": f"{hours * 3600:.0f}s"},
        )
    typer.echo(answer["token"])


@app.command()
def broker(
    host: Annotated[
        list[str], typer.Argument(help="Names and addresses by which gateways reach the broker.")
    ],
    user: Annotated[
        str,
        typer.Option(envvar="HEADRACE_BROKER_USER", help="The server's user at the broker."),
    ],
    password: Annotated[
        str, typer.Option(envvar="HEADRACE_BROKER_PASSWORD", help="That user's password.")
    ],
    data_dir: DataDir = Path(".headrace"),
) -> None:
    """Write what a nats-server with TLS for gateways needs; again: a new server certificate."""
    from cloud_api.fleet_authority import (
        AuthorityError,
        open_authority,
        write_private,
        write_server_certificate,
        write_whole,
    )
    from cloud_api.fleet_broker import FOLDER, USERS, Login, users_file
    from headrace.broker import TLS_CONFIGURATION

    folder = data_dir / FOLDER
    if not (user and password):
        raise fail("--user, --password: the server's process needs both, and they cannot be empty")
    try:
        authority = open_authority(data_dir)
        write_server_certificate(authority, host, folder)
        write_whole(folder / "authority.pem", authority.pem.encode())
        write_whole(folder / "nats.conf", TLS_CONFIGURATION.read_bytes())
        if not (folder / USERS).exists():
            # The broker starts before the server, which writes the gateways into it.
            write_private(folder / USERS, users_file(Login(user, password), (), ()).encode())
    except (AuthorityError, OSError) as error:
        raise fail(escape(str(error))) from error
    typer.echo(folder)


@app.command("service-certificate")
def service_certificate(
    name: Annotated[str, typer.Argument(help="Of the process, such as `processor`.")],
    output: Annotated[Path, typer.Argument(help="File for key and certificate, PEM.")],
    data_dir: DataDir = Path(".headrace"),
) -> None:
    """Issue a certificate for a process of the server's side; print its user at the broker."""
    from cloud_api.fleet_authority import AuthorityError, issue_service, open_authority

    try:
        user = issue_service(open_authority(data_dir), name, output, datetime.now(UTC))
    except (AuthorityError, OSError, ValueError) as error:
        raise fail(escape(str(error))) from error
    typer.echo(user)
