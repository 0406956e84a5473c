"""What the module needs of the server it runs in; the composition root gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from erp_modules.fleet.certificates import Authority
from erp_modules.fleet.errors import PartMissing


@dataclass(frozen=True)
class Target:
    """A file of the update repository."""

    path: str
    sha256: str
    size_bytes: int


class Updates(Protocol):
    """The update repository that gateways read."""

    def root(self) -> bytes:
        """Return the root metadata that a new gateway is to trust first."""
        ...

    def publish_targets(
        self, metadata: bytes, files: Mapping[str, bytes], now: datetime
    ) -> Sequence[Target]:
        """Take signed targets metadata with its files; return all targets. The same again is fine.

        Raises:
            MetadataRefused: the keys did not sign it, or it is not what may follow.
        """
        ...

    def publish_rollouts(self, documents: Mapping[str, bytes], now: datetime) -> bool:
        """Let `rollouts/{site}.json` be these; say whether anything was new."""
        ...

    def refresh(self, now: datetime) -> None:
        """Sign again what would expire."""
        ...


@dataclass(frozen=True)
class BrokerUser:
    """A gateway that the broker lets in."""

    user: str
    site: str
    edge_node: str


class Broker(Protocol):
    """Where gateways connect."""

    @property
    def host(self) -> str:
        """Name or address that gateways are told."""
        ...

    @property
    def port(self) -> int:
        """Port of MQTT that gateways are told."""
        ...

    def admit(self, users: Sequence[BrokerUser]) -> None:
        """Let in these and nobody else; connections of others end."""
        ...


@dataclass(frozen=True)
class Order:
    """A Sparkplug command: to the agent, or (with `device`) to a device of it."""

    command_id: str
    site: str
    edge_node: str
    device: str
    metric: str
    value: float | bool | str
    # Who asked, and who said yes to it: for the gateway's own record.
    proposer: str
    confirmer: str


class Commands(Protocol):
    """The way to the gateways."""

    def send(self, order: Order, now: datetime) -> None:
        """Send it once, now; who is away never gets it.

        Raises:
            Unavailable: the broker is away.
        """
        ...


@dataclass(frozen=True)
class Ports:
    """The server's parts; what is None this server does not have."""

    authority: Authority | None = None
    updates: Updates | None = None
    broker: Broker | None = None
    commands: Commands | None = None

    def need_authority(self) -> Authority:
        """Return the certificate authority.

        Raises:
            PartMissing: there is none.
        """
        if self.authority is None:
            raise PartMissing("certificate authority", "start it with a data folder")
        return self.authority

    def need_updates(self) -> Updates:
        """Return the update repository.

        Raises:
            PartMissing: there is none.
        """
        if self.updates is None:
            raise PartMissing("update repository", "make its keys with `headrace fleet keys init`")
        return self.updates

    def need_broker(self) -> Broker:
        """Return the broker.

        Raises:
            PartMissing: there is none.
        """
        if self.broker is None:
            raise PartMissing("broker", "start it with one")
        return self.broker

    def need_commands(self) -> Commands:
        """Return the way to the gateways.

        Raises:
            PartMissing: there is none.
        """
        if self.commands is None:
            raise PartMissing("way to the gateways", "start it with a broker")
        return self.commands
