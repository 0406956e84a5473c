"""The gateway as one of many: its identity, its reports, what it is told, and its status page."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class FleetTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[fleet]` table: what the gateway tells of itself, and how often."""

    report_interval_s: Annotated[
        float, Meta(gt=0, description="Seconds between two reports; a change is told at once.")
    ] = 60.0
    log_level_s: Annotated[
        float, Meta(gt=0, description="Seconds after which a log level set from afar ends.")
    ] = 900.0
    renewal_check_s: Annotated[
        float, Meta(gt=0, description="Seconds between two looks at the certificate's age.")
    ] = 3600.0


class StatusTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[status]` table: the read-only page, `/status.json`, `/metrics` and `/healthz`."""

    host: Annotated[
        str, Meta(min_length=1, description="Address to listen on; the page needs no password.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Door to listen on; 0 for none.")] = 0
    metrics: Annotated[bool, Meta(description="Whether Prometheus may read `/metrics`.")] = True
