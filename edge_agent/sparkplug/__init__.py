"""Sparkplug B 3.0: payloads, values, topics and commands, nothing that touches the network."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge_agent.sparkplug.topics import TopicNameError, check_name


class SparkplugTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[sparkplug]` table: whom the node waits for, and what it takes from whom."""

    primary_host_id: Annotated[
        str,
        Meta(description="Host application without which nothing is published; empty for none."),
    ] = ""
    qos: Annotated[
        Literal[0, 1],
        Meta(
            description="Of births, deaths of devices and data. Sparkplug wants 0; with 1 the "
            "broker has stored what it confirms, so that less is sent again after an outage."
        ),
    ] = 1
    command_max_age_s: Annotated[
        float, Meta(gt=0, description="Seconds after which a command is refused.")
    ] = 60.0

    def __post_init__(self) -> None:
        if not isfinite(self.command_max_age_s):
            raise ValueError(f"command_max_age_s: {self.command_max_age_s} is no age")
        if self.primary_host_id:
            try:
                check_name("primary_host_id", self.primary_host_id)
            except TopicNameError as error:
                raise ValueError(str(error)) from error
