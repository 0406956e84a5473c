"""Events: what happened, in the past tense, as CloudEvents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_TYPE = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*\.[a-z][a-z_]*")
# English verbs whose past tense does not end in "ed"; more are added as events need them.
IRREGULAR = frozenset(
    [
        "begun",
        "bought",
        "built",
        "cut",
        "done",
        "drawn",
        "found",
        "given",
        "held",
        "kept",
        "left",
        "lent",
        "lost",
        "made",
        "met",
        "paid",
        "put",
        "rebuilt",
        "reset",
        "run",
        "sent",
        "set",
        "shown",
        "sold",
        "split",
        "taken",
        "torn",
        "withdrawn",
        "won",
        "written",
    ]
)


class EventType(str):
    """The type of an event: `{module}.{noun}.{verb in the past tense}`."""

    def __new__(cls, value: str) -> EventType:
        """Return the type.

        Raises:
            ValueError: it is not three words, or the verb is not in the past tense.
        """
        if not _TYPE.fullmatch(value):
            raise ValueError(f"event type {value!r}: write it as module.noun.verb, lower case")
        verb = value.rsplit(".", 1)[1].rsplit("_", 1)[-1]
        if not verb.endswith("ed") and verb not in IRREGULAR:
            raise ValueError(f"event type {value!r}: the verb is not in the past tense")
        return super().__new__(cls, value)

    @property
    def module(self) -> str:
        """Name of the module that emits it."""
        return self.split(".", 1)[0]


@dataclass(frozen=True)
class Event:
    """One thing that happened; `data` is JSON in camelCase (docs/contracts.md)."""

    id: str
    type: EventType
    organisation: str
    site: str
    subject: str
    time: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    trace_id: str = ""

    @property
    def nats_subject(self) -> str:
        """Subject on the stream `EVENTS`."""
        return f"events.{self.organisation}.{self.type}"

    def to_json(self) -> str:
        """Return the CloudEvents 1.0 JSON form."""
        body: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": f"/erp_modules/{self.type.module}",
            "type": str(self.type),
            "subject": self.subject,
            "time": self.time.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "organisation": self.organisation,
            "site": self.site,
            "data": dict(self.data),
        }
        if self.trace_id:
            body["traceid"] = self.trace_id
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Event:
        """Return the event of a CloudEvents JSON text.

        Raises:
            ValueError: it is not JSON, or an attribute is missing or wrong.
        """
        try:
            body = json.loads(text)
            return cls(
                id=str(body["id"]),
                type=EventType(body["type"]),
                organisation=str(body["organisation"]),
                site=str(body["site"]),
                subject=str(body["subject"]),
                time=datetime.fromisoformat(body["time"]),
                data=dict(body["data"]),
                trace_id=str(body.get("traceid", "")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an event of ours: {error!r}") from error
