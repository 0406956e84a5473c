"""Say whether the loop closed: from the sample that caused it to the requisition, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headrace.client import ApiClient, Resource


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time as a datetime in UTC."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def delay_ms(resource: Resource) -> float | None:
    """Return the milliseconds from the causing message's sent time to the row; None if unknown."""
    sent, made = resource.get("causingSentTime"), resource.get("createTime")
    if not sent or not made:
        return None
    return round((parse_time(made) - parse_time(sent)).total_seconds() * 1000, 1)


def _step(resource: Resource) -> dict[str, Any]:
    return {"id": resource["name"], "delay_ms": delay_ms(resource)}


@dataclass(frozen=True, slots=True)
class Blocks:
    """What became of the batches an agent sent."""

    sent: int
    processed: int
    lost: int
    duplicated: int


@dataclass(frozen=True)
class Verdict:
    """What the books hold after a run."""

    alarms: Sequence[Resource]
    tickets: Sequence[Resource]
    reservations: Sequence[Resource]
    requisitions: Sequence[Resource]
    blocks: Blocks
    reasons: list[str] = field(default_factory=list)

    @property
    def nothing_lost(self) -> bool:
        """True when every batch was processed and none was lost."""
        return self.blocks.lost == 0 and self.blocks.processed == self.blocks.sent

    def why_not_closed(self, equipment: str) -> list[str]:
        """Return what keeps the loop of one fault on `equipment` from being closed exactly once."""
        wrong = []
        for name, found in (
            ("alarm", self.alarms),
            ("ticket", self.tickets),
            ("reservation", self.reservations),
            ("requisition", self.requisitions),
        ):
            if len(found) != 1:
                wrong.append(f"{len(found)} {name}s where one was due")
        elsewhere = {r["equipment"] for r in (*self.alarms, *self.tickets)} - {equipment}
        if elsewhere:
            wrong.append(f"findings on {', '.join(sorted(elsewhere))}, which had no fault")
        if not self.nothing_lost:
            wrong.append(
                f"{self.blocks.sent} blocks sent, {self.blocks.processed} processed, "
                f"{self.blocks.lost} lost"
            )
        return wrong

    def steps(self) -> dict[str, Any]:
        """Return id and delay of the first of each kind, None where there is none."""
        return {
            name: _step(found[0]) if found else None
            for name, found in (
                ("alarm", self.alarms),
                ("ticket", self.tickets),
                ("reservation", self.reservations),
                ("requisition", self.requisitions),
            )
        }


def read(client: ApiClient, site: str, blocks: Blocks) -> Verdict:
    """Return what the books of `site` hold, oldest first."""

    def collection(name: str) -> list[Resource]:
        return sorted(client.list(name, site=site), key=lambda r: str(r["createTime"]))

    return Verdict(
        collection("alarms"),
        collection("tickets"),
        collection("reservations"),
        collection("requisitions"),
        blocks,
    )
