"""All SQL of the module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import func, select, tuple_

from erp_modules.kernel.errors import NotFound
from erp_modules.kernel.repository import Repository
from erp_modules.maintenance import alarm_states, life_cycle
from erp_modules.maintenance.errors import AmbiguousTag
from erp_modules.maintenance.models import (
    AlarmRow,
    CounterRow,
    EquipmentRow,
    TicketCommentRow,
    TicketEventRow,
    TicketRow,
)


@dataclass(frozen=True, slots=True)
class OpenWork:
    """What is open on one machine; severity 0 when no alarm is."""

    alarms: int = 0
    tickets: int = 0
    highest_severity: int = 0


class EquipmentRepository(Repository[EquipmentRow]):
    """Machines by site and tag."""

    model = EquipmentRow
    collection = "equipment"
    order_fields: ClassVar = {
        "tag": EquipmentRow.tag,
        "display_name": EquipmentRow.display_name,
        "equipment_class": EquipmentRow.equipment_class,
        "path": EquipmentRow.path,
        "criticality": EquipmentRow.criticality,
        "health": EquipmentRow.health,
        "update_time": EquipmentRow.update_time,
    }

    @staticmethod
    def key(site: str, tag: str) -> str:
        """Return the id of the machine `tag` at `site`."""
        return f"{site}~{tag}"

    def at_site(self, site: str, tag: str) -> EquipmentRow | None:
        """Return the machine `tag` of `site`, or None."""
        return self.find(self.key(site, tag))

    def get_by_name(self, name: str, field: str = "name", etag: str = "") -> EquipmentRow:
        """Return `equipment/{tag}`, or `equipment/{site}~{tag}` where two sites share the tag.

        Raises:
            InvalidArgument: `name` is no name of equipment; the error names `field`.
            NotFound: none of the caller's sites has it.
            AmbiguousTag: more than one has.
            Aborted: `etag` is out of date.
        """
        tag = self.id_of(name, field)
        found = list(self.all(EquipmentRow.tag == tag))
        if not found and (exact := self.find(tag)):
            found = [exact]
        if not found:
            raise NotFound(f"{name} does not exist")
        if len(found) > 1:
            raise AmbiguousTag(tag, sorted(row.site for row in found))
        self.check_etag(found[0], etag)
        return found[0]

    def open_work(self, rows: Sequence[EquipmentRow]) -> Mapping[str, OpenWork]:
        """Return what is open on each of `rows`, by their ids."""
        keys = [(row.site, row.tag) for row in rows]
        alarms = {
            self.key(site, tag): (count, severity)
            for site, tag, count, severity in self.session.execute(
                select(
                    AlarmRow.site,
                    AlarmRow.equipment,
                    func.count(),
                    func.max(AlarmRow.severity),
                )
                .where(
                    tuple_(AlarmRow.site, AlarmRow.equipment).in_(keys),
                    AlarmRow.state.in_(alarm_states.OPEN_STATES),
                )
                .group_by(AlarmRow.site, AlarmRow.equipment)
            )
        }
        tickets = {
            self.key(site, tag): count
            for site, tag, count in self.session.execute(
                select(TicketRow.site, TicketRow.equipment, func.count())
                .where(
                    tuple_(TicketRow.site, TicketRow.equipment).in_(keys),
                    TicketRow.state.not_in(life_cycle.FINAL_STATES),
                )
                .group_by(TicketRow.site, TicketRow.equipment)
            )
        }
        return {
            row.id: OpenWork(
                alarms=alarms.get(row.id, (0, 0))[0],
                tickets=tickets.get(row.id, 0),
                highest_severity=alarms.get(row.id, (0, 0))[1],
            )
            for row in rows
        }


class AlarmRepository(Repository[AlarmRow]):
    """Alarms."""

    model = AlarmRow
    collection = "alarms"
    order_fields: ClassVar = {
        "raise_time": AlarmRow.raise_time,
        "severity": AlarmRow.severity,
        "equipment": AlarmRow.equipment,
        "state": AlarmRow.state,
        "update_time": AlarmRow.update_time,
    }

    def shelved_like(
        self, site: str, equipment: str, failure_mode: str, now: datetime
    ) -> AlarmRow | None:
        """Return the alarm whose shelving, at `now`, silences findings of this mode, or None."""
        return self.first(
            AlarmRow.site == site,
            AlarmRow.equipment == equipment,
            AlarmRow.failure_mode == failure_mode,
            AlarmRow.state == alarm_states.AlarmState.SHELVED,
            AlarmRow.shelve_expire_time > now,
        )

    def of_ticket(self, ticket_id: str) -> Sequence[AlarmRow]:
        """Return the alarms that a ticket deals with."""
        return self.all(AlarmRow.ticket_id == ticket_id)

    def shelving_expired(self, now: datetime) -> Sequence[AlarmRow]:
        """Return the alarms whose shelving has ended at `now`."""
        return self.all(
            AlarmRow.state == alarm_states.AlarmState.SHELVED,
            AlarmRow.shelve_expire_time <= now,
        )


class TicketRepository(Repository[TicketRow]):
    """Work orders."""

    model = TicketRow
    collection = "tickets"
    order_fields: ClassVar = {
        "number": TicketRow.number,
        "priority": TicketRow.priority,
        "severity": TicketRow.severity,
        "state": TicketRow.state,
        "equipment": TicketRow.equipment,
        "assignee": TicketRow.assignee,
        "scheduled_start_time": TicketRow.scheduled_start_time,
        "update_time": TicketRow.update_time,
    }

    def open_on(self, site: str, equipment: str) -> Sequence[TicketRow]:
        """Return the open tickets of a machine, oldest first."""
        return self.all(
            TicketRow.site == site,
            TicketRow.equipment == equipment,
            TicketRow.state.in_(life_cycle.OPEN_STATES),
            order_by=TicketRow.number,
        )

    def next_number(self, site: str) -> str:
        """Return the next readable number of `site`, such as `WO-000017`."""
        return f"WO-{self.count_up(CounterRow, site, 'ticket'):06d}"


class TicketCommentRepository(Repository[TicketCommentRow]):
    """Comments, oldest first."""

    model = TicketCommentRow
    collection = "comments"
    default_order = "create_time"


class TicketEventRepository(Repository[TicketEventRow]):
    """History, oldest first."""

    model = TicketEventRow
    collection = "history"
    order_fields: ClassVar = {"sequence": TicketEventRow.sequence}
    default_order = "sequence"
