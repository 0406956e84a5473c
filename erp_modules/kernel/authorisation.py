"""Who calls, and what they may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from erp_modules.kernel.errors import PermissionDenied

PUBLIC = "public"


class Role(StrEnum):
    """What a person (or a process) is in the plant."""

    OPERATOR = "operator"
    TECHNICIAN = "technician"
    PLANNER = "planner"
    ENGINEER = "engineer"
    ADMIN = "admin"
    SERVICE = "service"


@dataclass(frozen=True)
class Principal:
    """Someone, or a process, that was authenticated.

    `sites` is None for every site of the organisation. `scopes` come on top of what the roles give.
    """

    id: str
    organisation: str = "default"
    sites: frozenset[str] | None = None
    roles: frozenset[Role] = frozenset()
    scopes: frozenset[str] = field(default=frozenset())


class Authenticator(Protocol):
    """Finds out who is calling."""

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """Return the caller from the headers (or gRPC metadata), names in lower case.

        Raises:
            Unauthenticated: nobody known.
        """
        ...


def matches(pattern: str, scope: str) -> bool:
    """Say whether `pattern` covers `scope`; a `*` is one segment, at the end all that follow.

    >>> matches("maintenance.*", "maintenance.ticket.write"), matches("*.*.read", "a.b.write")
    (True, False)
    """
    wanted, given = pattern.split("."), scope.split(".")
    for position, segment in enumerate(wanted):
        if segment == "*" and position == len(wanted) - 1:
            return len(given) > position
        if position >= len(given) or segment not in ("*", given[position]):
            return False
    return len(wanted) == len(given)


class Authorisation:
    """The scopes each role has, put together from the manifests."""

    def __init__(self, permissions: Iterable[Mapping[Role, Iterable[str]]] = ()) -> None:
        self._granted: dict[Role, set[str]] = {role: set() for role in Role}
        self._granted[Role.ADMIN].add("*")
        for table in permissions:
            for role, scopes in table.items():
                self._granted[role].update(scopes)

    def scopes(self, principal: Principal) -> frozenset[str]:
        """Return every scope (or pattern) the principal has."""
        return principal.scopes.union(*(self._granted[role] for role in principal.roles))

    def allows(self, principal: Principal, scope: str) -> bool:
        """Say whether the principal has `scope`."""
        return scope == PUBLIC or any(matches(s, scope) for s in self.scopes(principal))

    def require(self, principal: Principal, scope: str) -> None:
        """Let the call pass.

        Raises:
            PermissionDenied: the principal does not have `scope`.
        """
        if not self.allows(principal, scope):
            raise PermissionDenied(f"{principal.id} may not: the scope {scope} is missing")
