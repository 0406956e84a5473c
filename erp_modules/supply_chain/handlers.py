"""What the module does about others' events."""

from __future__ import annotations

from erp_modules.kernel.events import EventType
from erp_modules.kernel.handlers import Handler
from erp_modules.supply_chain import demand

HANDLERS = (
    Handler(
        "supply_chain.reserve_spares",
        EventType("maintenance.ticket.opened"),
        demand.reserve_spares,
    ),
    # A cause that is named later needs its spares then.
    Handler(
        "supply_chain.reserve_more_spares",
        EventType("maintenance.ticket.updated"),
        demand.reserve_spares,
    ),
    Handler(
        "supply_chain.consume_spares",
        EventType("maintenance.ticket.closed"),
        demand.consume_spares,
    ),
    Handler(
        "supply_chain.release_spares_of_cancelled",
        EventType("maintenance.ticket.cancelled"),
        demand.release_spares,
    ),
    Handler(
        "supply_chain.release_spares_of_rejected",
        EventType("maintenance.ticket.rejected"),
        demand.release_spares,
    ),
)
