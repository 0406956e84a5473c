"""The command for a plant that keeps its own MQTT broker."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def bridge(
    host: Annotated[str | None, typer.Option(help="Of the plant's broker.")] = None,
    port: Annotated[int | None, typer.Option(help="Of the plant's broker.")] = None,
    user: Annotated[
        str | None, typer.Option(help="There; the password is HEADRACE_BRIDGE_PASSWORD.")
    ] = None,
    authority: Annotated[
        str | None, typer.Option(help="File of the authority's certificate, for TLS.")
    ] = None,
    certificate: Annotated[
        str | None, typer.Option(help="File of our certificate and its key.")
    ] = None,
    mqtt_version: Annotated[str | None, typer.Option(help="5 or 3.1.1.")] = None,
    site: Annotated[
        list[str] | None, typer.Option(help="Only of this site; may be given again.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the bridge, and of its session at the broker.")
    ] = None,
    instance: Annotated[
        str | None, typer.Option(help="Of this process, when several stand by for one another.")
    ] = None,
    share: Annotated[
        str | None, typer.Option(help="Group of a shared subscription: all instances work.")
    ] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve Prometheus here.")] = None,
) -> None:
    """Carry a plant's messages from its MQTT broker to the log, and answers back.

    What is not given comes from the environment (stream_processor/bridge/README.md).
    """
    from stream_processor.bridge.main import main

    given = {
        "HEADRACE_BRIDGE_HOST": host,
        "HEADRACE_BRIDGE_PORT": port,
        "HEADRACE_BRIDGE_USER": user,
        "HEADRACE_BRIDGE_AUTHORITY": authority,
        "HEADRACE_BRIDGE_CERTIFICATE": certificate,
        "HEADRACE_BRIDGE_MQTT_VERSION": mqtt_version,
        "HEADRACE_BRIDGE_SITES": ",".join(site or ()) or None,
        "HEADRACE_BRIDGE_NAME": name,
        "HEADRACE_BRIDGE_INSTANCE": instance,
        "HEADRACE_BRIDGE_SHARE": share,
        "HEADRACE_METRICS_PORT": metrics_port,
    }
    wanted = {variable: str(value) for variable, value in given.items() if value is not None}
    raise typer.Exit(main({**os.environ, **wanted}))
