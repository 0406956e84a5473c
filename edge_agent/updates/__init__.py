"""Models and configuration over the air: signed, staged, tried, and taken back when bad."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

# A name or a version as it stands in a target's path.
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$"


class UpdatesTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[updates]` table: where models and configuration come from, and how they are tried."""

    server: Annotated[
        str, Meta(description="Base address, `https://headrace.example`; empty: no updates.")
    ] = ""
    group: Annotated[
        str, Meta(pattern=NAME, description="The group of gateways this one is rolled out with.")
    ] = "default"
    configuration: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,59})?$",
            description="Name of the managed configuration that replaces this file's tables; "
            "empty: none does.",
        ),
    ] = ""
    check_interval_s: Annotated[
        float, Meta(gt=0, description="Seconds between two checks, give or take a fifth.")
    ] = 3600.0
    stall_s: Annotated[
        float, Meta(gt=0, description="Seconds without a byte after which a download is given up.")
    ] = 20.0
    least_rate_bytes_s: Annotated[
        float, Meta(gt=0, description="A download that is slower on the whole is given up.")
    ] = 8192.0
    max_target_bytes: Annotated[
        int, Meta(gt=0, description="A model or file larger than this is refused.")
    ] = 32 << 20
    trial_windows: Annotated[
        int, Meta(ge=10, description="Windows a new model scores beside the old one.")
    ] = 60
    trial_shift: Annotated[
        float,
        Meta(gt=0, le=1, description="Shift of the scores, 0 to 1, above which it is refused."),
    ] = 0.2
    trial_latency_factor: Annotated[
        float, Meta(gt=1, description="Times the old model's latency above which it is refused.")
    ] = 3.0
    trial_latency_ms: Annotated[
        float, Meta(gt=0, description="A median latency below this is never too slow.")
    ] = 5.0
    configuration_trial_s: Annotated[
        float, Meta(gt=0, description="Seconds a new configuration must run well before it stays.")
    ] = 60.0
    configuration_patience_s: Annotated[
        float, Meta(gt=0, description="Seconds with a broker within which it must have done so.")
    ] = 600.0

    def __post_init__(self) -> None:
        if self.server and not self.server.startswith(("http://", "https://")):
            raise ValueError(f"server: {self.server!r} begins with neither http:// nor https://")
