"""The one path of every call, event and job; both doors and every test use it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple, Unpack

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from structlog.contextvars import bound_contextvars

from erp_modules.kernel.authorisation import Authorisation, Principal, Role
from erp_modules.kernel.clock import Clock
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument, NotFound, PermissionDenied
from erp_modules.kernel.fields import validate
from erp_modules.kernel.handlers import Handler
from erp_modules.kernel.ids import Ids
from erp_modules.kernel.jobs import Job
from erp_modules.kernel.manifest import Manifest
from erp_modules.kernel.paging import PageTokens
from erp_modules.kernel.policies import Policy, policy_of
from erp_modules.kernel.rate import RateLimiter
from erp_modules.kernel.request_ids import once
from erp_modules.kernel.scoping import Scope
from erp_modules.kernel.service import Service, method_name
from erp_modules.kernel.unit_of_work import Database

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
# Calls wait for the database, not for a core.
_THREADS = 8


@dataclass(frozen=True)
class Method:
    """An RPC with its policy and the bound method that serves it."""

    descriptor: MethodDescriptor
    policy: Policy
    call: Callable[[Context, Any], Message]
    request: type[Message]
    response: type[Message]

    @property
    def full_name(self) -> str:
        """Such as `erp_modules.maintenance.v1.TicketService.GetTicket`."""
        return str(self.descriptor.full_name)


class Application:
    """Everything there is to call, put together by `bootstrap`."""

    def __init__(
        self,
        database: Database,
        manifests: Sequence[Manifest],
        *,
        clock: Clock,
        ids: Ids,
        page_tokens: PageTokens,
        organisations: tuple[str, ...],
    ) -> None:
        self.database = database
        self.manifests = tuple(manifests)
        self.clock = clock
        self.ids = ids
        self.organisations = organisations
        self.authorisation = Authorisation(m.permissions for m in manifests)
        self.methods: Mapping[str, Method] = {
            method.full_name: method
            for manifest in manifests
            for service in manifest.services
            for method in methods_of(service)
        }
        self._page_tokens = page_tokens
        self._rates = RateLimiter()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="call")

    @property
    def services(self) -> Mapping[str, Service]:
        """Every service by its full name, such as `erp_modules.maintenance.v1.TicketService`."""
        return {
            str(service.contract.full_name): service
            for manifest in self.manifests
            for service in manifest.services
        }

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """Every event handler of every module."""
        return tuple(h for manifest in self.manifests for h in manifest.handlers)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Every scheduled job of every module."""
        return tuple(j for manifest in self.manifests for j in manifest.jobs)

    def run(
        self,
        principal: Principal,
        work: Callable[[Context], T],
        *,
        trace_id: str = "",
        read_only: bool = False,
    ) -> T:
        """Run `work` in one unit of work as `principal`; it is called again after a conflict.

        Raises:
            PermissionDenied: the principal is of an organisation that is not served here.
            Aborted: it was in someone's way too often.
            Unavailable: the database does not answer.
        """
        if principal.organisation not in self.organisations:
            raise PermissionDenied(f"organisation {principal.organisation} is not served here")
        scope = Scope(principal.organisation, principal.sites)
        return self.database.run(
            scope,
            lambda unit: work(
                Context(
                    principal=principal,
                    organisation=principal.organisation,
                    sites=principal.sites,
                    trace_id=trace_id,
                    clock=self.clock,
                    ids=self.ids,
                    uow=unit,
                    authorisation=self.authorisation,
                    page_tokens=self._page_tokens,
                )
            ),
            read_only=read_only,
        )

    def call(
        self, method: str, request: Message, principal: Principal, trace_id: str = ""
    ) -> Message:
        """Call an RPC by its full name: scope, rate, validation, one unit of work, audit record.

        Raises:
            ServiceError: what the caller is to be told.
        """
        found = self.methods.get(method)
        if found is None:
            raise NotFound(f"there is no method {method}")
        if not isinstance(request, found.request):
            raise InvalidArgument(f"{method} takes a {found.request.DESCRIPTOR.full_name}")
        self.authorisation.require(principal, found.policy.scope)
        self._rates.take(principal.id, method, found.policy.rate)
        validate(request)
        reads = found.policy.reads
        with bound_contextvars(trace_id=trace_id, method=method):
            return self.run(
                principal,
                lambda ctx: found.call(ctx, request) if reads else _write(ctx, found, request),
                trace_id=trace_id,
                read_only=reads,
            )

    async def acall(
        self, method: str, request: Message, principal: Principal, trace_id: str = ""
    ) -> Message:
        """Call an RPC in a thread, so that the event loop goes on."""
        return await self.in_thread(self.call, method, request, principal, trace_id)

    async def in_thread(self, work: Callable[[Unpack[Arguments]], T], *arguments: *Arguments) -> T:
        """Run what waits for the database in a thread."""
        loop = asyncio.get_running_loop()
        here = contextvars.copy_context()  # what the log knows of the call goes along
        return await loop.run_in_executor(self._threads, lambda: here.run(work, *arguments))

    def system(self, organisation: str, module: str) -> Principal:
        """Return the principal of a module's own handlers and jobs."""
        return Principal(
            id=f"modules/{module}",
            organisation=organisation,
            roles=frozenset({Role.SERVICE}),
            scopes=frozenset({f"{module}.*"}),
        )

    def close(self) -> None:
        """Let the calls under way end, then close the database."""
        self._threads.shutdown()
        self.database.close()


def _write(ctx: Context, method: Method, request: Message) -> Message:
    # A caller's retry must not find its request changed by a service that works on it in place.
    given = method.request()
    given.CopyFrom(request)
    response, happened = once(
        ctx, method.full_name, request, method.response, lambda: method.call(ctx, given)
    )
    if happened:
        thing = _resource(response) or _resource(request)
        ctx.record(method.full_name, getattr(thing, "name", ""), site=getattr(thing, "site", ""))
    return response


def _resource(message: Message) -> Message | None:
    """Return the message with a resource name: itself, or the first of its fields that has one."""
    inner = [v for f, v in message.ListFields() if f.message_type and not f.is_repeated]
    named = (m for m in (message, *inner) if isinstance(getattr(m, "name", None), str))
    return next((m for m in named if getattr(m, "name", "")), None)


def methods_of(service: Service) -> list[Method]:
    """Return the RPCs of a service with the methods that serve them."""
    return [
        Method(
            descriptor=rpc,
            policy=policy_of(rpc),
            call=getattr(service, method_name(rpc.name)),
            request=GetMessageClass(rpc.input_type),
            response=GetMessageClass(rpc.output_type),
        )
        for rpc in service.contract.methods
    ]
