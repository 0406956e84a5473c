"""Handing an event to a handler: once, in one transaction with its effects."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from erp_modules.kernel.application import Application
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import NotFound
from erp_modules.kernel.events import Event
from erp_modules.kernel.handlers import Handler
from erp_modules.kernel.models import HandledEvent, OutboxRow
from erp_modules.kernel.scoping import Scope
from erp_modules.kernel.unit_of_work import UnitOfWork

HANDLED = "handled"
DEAD = "dead"


def deliver(app: Application, handler: Handler, event: Event) -> bool:
    """Let `handler` handle `event` unless it has; say whether it did so now.

    Raises:
        Exception: whatever the handler raises; then nothing it did is kept.
    """

    def work(ctx: Context) -> bool:
        known = _known(ctx.uow, handler.name, event.id)
        if known is not None:
            return False
        handler.handle(ctx, event)
        ctx.session.add(_row(ctx.uow, handler, event, HANDLED, 1, ""))
        return True

    principal = app.system(event.organisation, handler.module)
    return app.run(principal, work, trace_id=event.trace_id)


def set_aside(app: Application, handler: Handler, event: Event, attempts: int, error: str) -> None:
    """Give up on an event for one handler; it stays findable and can be delivered again."""

    def work(unit: UnitOfWork) -> None:
        if _known(unit, handler.name, event.id) is None:
            unit.session.add(_row(unit, handler, event, DEAD, attempts, error))

    app.database.run(Scope(event.organisation), work)


def dead_events(app: Application, organisation: str) -> Sequence[HandledEvent]:
    """Return what handlers gave up on, oldest first."""
    statement = (
        select(HandledEvent).where(HandledEvent.state == DEAD).order_by(HandledEvent.handle_time)
    )
    return app.database.run(
        Scope(organisation), lambda unit: unit.session.scalars(statement).all(), read_only=True
    )


def deliver_again(app: Application, organisation: str, handler_name: str, event_id: str) -> None:
    """Let a handler handle an event it gave up on.

    Raises:
        NotFound: it did not give up on it, or there is no such handler any more.
        Exception: whatever the handler raises; then the event stays set aside.
    """
    handler = next((h for h in app.handlers if h.name == handler_name), None)
    if handler is None:
        raise NotFound(f"there is no handler {handler_name}")

    def work(ctx: Context) -> None:
        known = _known(ctx.uow, handler_name, event_id)
        if known is None or known.state != DEAD:
            raise NotFound(f"{handler_name} did not give up on {event_id}")
        handler.handle(ctx, Event.from_json(known.body))
        known.state = HANDLED
        known.attempts += 1
        known.handle_time = ctx.now()

    app.run(app.system(organisation, handler.module), work)


def settle(app: Application) -> int:
    """Deliver everything in the outbox to this process's handlers, until nothing is left.

    For tests and tools that run without a broker; returns how many events there were. A handler's
    error is raised.
    """
    count = 0
    for organisation in app.organisations:
        while pending := _pending(app, organisation):
            for position, body in pending:
                event = Event.from_json(body)
                for handler in app.handlers:
                    if handler.event == event.type:
                        deliver(app, handler, event)
                _published(app, organisation, position)
                count += 1
    return count


def _pending(app: Application, organisation: str) -> list[tuple[int, str]]:
    statement = (
        select(OutboxRow.position, OutboxRow.body)
        .where(OutboxRow.publish_time.is_(None))
        .order_by(OutboxRow.position)
    )
    return app.database.run(
        Scope(organisation),
        lambda unit: [(r.position, r.body) for r in unit.session.execute(statement)],
        read_only=True,
    )


def _published(app: Application, organisation: str, position: int) -> None:
    def work(unit: UnitOfWork) -> None:
        unit.session.get_one(OutboxRow, position).publish_time = unit.clock.now()

    app.database.run(Scope(organisation), work)


def _known(unit: UnitOfWork, handler: str, event_id: str) -> HandledEvent | None:
    return unit.session.get(HandledEvent, (unit.scope.organisation, handler, event_id))


def _row(
    unit: UnitOfWork, handler: Handler, event: Event, state: str, attempts: int, error: str
) -> HandledEvent:
    return HandledEvent(
        organisation=event.organisation,
        site=event.site,
        handler=handler.name,
        event_id=event.id,
        state=state,
        attempts=attempts,
        error=error,
        # What was handled need not be kept; what was not may be handled later.
        body=event.to_json() if state == DEAD else "",
        handle_time=unit.clock.now(),
    )
