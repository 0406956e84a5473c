"""The broker's list of gateways: a file that its configuration includes, and a signal to read it.

nats-server maps a client certificate to the user named in it (`verify_and_map`); a gateway is in
when its user is on the list, and connections of users that left it end at the reload.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from cloud_api.fleet_authority import write_private
from erp_modules.fleet.ports import BrokerUser

FOLDER = "broker"
USERS = "users.conf"
# What a gateway publishes of itself; commands are not among them.
OF_NODE = ("NBIRTH", "NDEATH", "NDATA")
OF_DEVICE = ("DBIRTH", "DDEATH", "DDATA")

# One level of a subject.
_LEVEL = re.compile(r"[^.*>/+#\s\x00-\x1f\x7f]+")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Login:
    """A process of the server's side that signs in with a password, and may do everything."""

    user: str
    password: str


@dataclass(frozen=True)
class BrokerList:
    """The list in a data folder, and the address that gateways are told."""

    host: str
    port: int
    path: Path
    login: Login
    # Of the server's process on this machine; None: whoever watches the file signals it.
    pid_file: Path | None = None
    # Certificates' users of the server's own MQTT clients.
    services: tuple[str, ...] = ()

    def admit(self, users: Sequence[BrokerUser]) -> None:
        """Let in these and nobody else; connections of others end."""
        content = users_file(self.login, self.services, users).encode()
        try:
            if self.path.read_bytes() == content:
                return
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        write_private(self.path, content)
        self._reload()
        log.info("broker_users", gateways=len(users))

    def _reload(self) -> None:
        if self.pid_file is None:
            return
        try:
            os.kill(_broker_in(self.pid_file), signal.SIGHUP)
        except (OSError, ValueError) as error:
            # It reads the list when it starts.
            log.warning("broker_not_told", pid_file=str(self.pid_file), error=repr(error))


def _broker_in(pid_file: Path) -> int:
    """Return the number of the broker's process.

    Raises:
        OSError: the file cannot be read.
        ValueError: the number is none, or by now another process's, whom the signal would end.
    """
    number = int(pid_file.read_text())
    if number <= 0:
        raise ValueError(f"{number} is no process")
    name = Path(f"/proc/{number}/comm")
    if name.exists() and "nats" not in name.read_text():
        raise ValueError(f"{number} is {name.read_text().strip()}, not the broker")
    return number


def users_file(login: Login, services: Sequence[str], users: Sequence[BrokerUser]) -> str:
    """Return the `users` of nats-server's `authorization` block, in a fixed order."""
    everything = {"publish": [">"], "subscribe": [">"]}
    entries: list[dict[str, object]] = []
    # Without a password it would be the door for everybody.
    if login.user and login.password:
        entries.append({"user": login.user, "password": login.password, "permissions": everything})
    entries += [
        {"user": user, "allowed_connection_types": ["MQTT"], "permissions": everything}
        for user in sorted(services)
    ]
    entries += [
        {
            "user": one.user,
            # Without a password: only the door that asks for the certificate may let it in.
            "allowed_connection_types": ["MQTT"],
            "permissions": _permissions(one.site, one.edge_node),
        }
        for one in sorted(users, key=lambda one: one.user)
        # Enrolment refuses such names; permissions with a wildcard in them would be others' topics.
        if _LEVEL.fullmatch(one.site) and _LEVEL.fullmatch(one.edge_node)
    ]
    # JSON is what nats-server reads, too, one user a line.
    lines = ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in entries)
    return f"users: [\n{lines}\n]\n"


def _permissions(site: str, edge_node: str) -> dict[str, list[str]]:
    """Return what a gateway may say and hear, as subjects (docs/contracts.md, Telemetry)."""
    return {
        "publish": [
            *(f"spBv1//0.{site}.{kind}.{edge_node}" for kind in OF_NODE),
            *(f"spBv1//0.{site}.{kind}.{edge_node}.*" for kind in OF_DEVICE),
            f"headrace.report.{site}.{edge_node}",
            f"headrace.outcome.{site}.{edge_node}",
        ],
        "subscribe": [
            f"spBv1//0.{site}.NCMD.{edge_node}",
            # `#` of MQTT is the level above as well.
            f"spBv1//0.{site}.DCMD.{edge_node}",
            f"spBv1//0.{site}.DCMD.{edge_node}.>",
            f"headrace.ack.{site}.{edge_node}",
            "spBv1//0.STATE",
            "spBv1//0.STATE.>",
        ],
    }
