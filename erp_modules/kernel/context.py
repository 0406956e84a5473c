"""What a service method is given besides its request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from erp_modules.kernel.authorisation import Authorisation, Principal
from erp_modules.kernel.clock import Clock
from erp_modules.kernel.errors import PermissionDenied
from erp_modules.kernel.events import Event, EventType
from erp_modules.kernel.ids import Cause, Ids, derived_id
from erp_modules.kernel.paging import PageTokens
from erp_modules.kernel.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Context:
    """Who calls, for which organisation and sites, inside which unit of work.

    `sites` is None for every site of the organisation.
    """

    principal: Principal
    organisation: str
    sites: frozenset[str] | None
    trace_id: str
    clock: Clock
    ids: Ids
    uow: UnitOfWork
    authorisation: Authorisation
    page_tokens: PageTokens

    @property
    def session(self) -> Session:
        """Session of the unit of work; for repositories only."""
        return self.uow.session

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return self.clock.now()

    def new_id(self, prefix: str) -> str:
        """Return a new id for what a person created; what the flow caused has a `derived_id`."""
        return self.ids.new(prefix)

    def allows(self, scope: str) -> bool:
        """Say whether the caller has `scope`."""
        return self.authorisation.allows(self.principal, scope)

    def require_site(self, site: str) -> None:
        """Let pass a site the caller may see.

        Raises:
            PermissionDenied: it is none of the caller's.
        """
        if not self.uow.scope.holds(site):
            raise PermissionDenied(f"site {site}: not among the caller's sites")

    def emit(
        self,
        type: EventType,
        *,
        subject: str,
        site: str,
        data: Mapping[str, Any],
        causes: tuple[Cause, ...] = (),
    ) -> Event:
        """Say that something happened; it is published once the unit of work is committed.

        `subject` is a resource name, `data` JSON in camelCase. With `causes` the event's id is a
        pure function of type, organisation, subject and them; without, it is new.
        """
        happened = Event(
            id=(
                derived_id("evt", str(type), self.organisation, subject, *causes)
                if causes
                else self.ids.new("evt")
            ),
            type=type,
            organisation=self.organisation,
            site=site,
            subject=subject,
            time=self.now(),
            data=data,
            trace_id=self.trace_id,
        )
        self.uow.emit(happened)
        return happened

    def record(self, action: str, resource: str, *, site: str, detail: str = "") -> None:
        """Add to the audit trail what the RPC itself does not say.

        Every successful RPC that writes has a record of its own already.
        """
        self.uow.record(
            principal=self.principal.id,
            action=action,
            resource=resource,
            site=site,
            detail=detail,
            trace_id=self.trace_id,
        )
