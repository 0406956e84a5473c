"""The processor with one stage that says an advisory a block, as a process of its own."""

from __future__ import annotations

import os
import sys
from typing import Any, Self

import numpy as np

from stream_processor.frames import Frame
from stream_processor.main import configure_logging, run
from stream_processor.settings import Settings
from stream_processor.stages.items import Findings
from stream_processor.v1.alert_pb2 import Advisory
from stream_processor.v1.points_pb2 import Points

POISON = 666.0


class Echo:
    """Count blocks; say the count and the mean; fail on poison, after spoiling the state."""

    def __init__(self) -> None:
        self.blocks = 0

    def update(self, item: Frame) -> Findings:
        self.blocks += 1
        mean = float(np.nanmean(next(iter(item.samples.values())))) if item.samples else 0.0
        if mean == POISON:
            self.blocks = -1000
            raise ArithmeticError("poison")
        info = item.info
        advisory = Advisory(
            advisory_id=f"{info.site}-{info.equipment}-{item.boot_epoch}-{item.batch}",
            revision=1,
            site=info.site,
            edge_node=info.edge_node,
            equipment=info.equipment,
            summary=str(self.blocks),
        )
        advisory.sent_time.FromMilliseconds(item.sent_time_ms)
        advisory.evidence.trace_id = item.trace_id
        advisory.evidence.features.add(feature="mean", value=mean)
        points = Points(site=info.site, equipment=info.equipment, sent_time_ms=item.sent_time_ms)
        points.series.add(name="mean", unit="1", time_ms=[item.start_time_ms], value=[mean])
        return Findings([advisory], points)

    def state(self) -> dict[str, Any]:
        return {"schema": 1, "blocks": self.blocks}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        self = cls()
        self.blocks = state["blocks"]
        return self


if __name__ == "__main__":
    configure_logging("json")
    run(Settings.from_environment(os.environ), (("echo", Echo),))
    sys.exit(0)
