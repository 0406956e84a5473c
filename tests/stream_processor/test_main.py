from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import nats
import numpy as np
import pytest

from stream_processor import main
from stream_processor.v1.points_pb2 import Points, PointsBatch


def test_a_wrong_setting_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main({"HEADRACE_PARTITIONS": "none"}) == 2
    assert capsys.readouterr().err == (
        "HEADRACE_PARTITIONS is 'none': give a whole number from 1 to 256\n"
    )


def test_the_real_stages_make_points_of_blocks_over_a_kill(
    broker: Any, maintenance: Any, tmp_path: Any, agent: Any, wait_until: Callable[..., Any]
) -> None:
    processor_type = sys.modules[type(maintenance).__module__].Processor
    processor = processor_type(broker, maintenance, tmp_path, ("-m", "stream_processor"))
    processor.start()
    try:
        agent.births()
        noise = np.random.default_rng(1).normal(size=3200)
        for batch in range(1, 21):
            agent.block(batch, samples=noise)
        wait_until(lambda: agent.acknowledged() == (1, 20), what=processor.tail)
        processor.kill()
        processor.start()
        for batch in range(21, 41):
            agent.block(batch, samples=noise)
        wait_until(lambda: agent.acknowledged() == (1, 40), what=processor.tail)
        counters = processor.counters()
        assert counters["processed"] == counters["points"] == 40
        assert counters["dead_letters"] == {}
        points = asyncio.run(first_points(broker))
        assert (points.site, points.equipment) == ("riverside", "P-101")
        assert points.aggregates[0].channel == "Vibration"
        assert points.aggregates[0].mean[0] == pytest.approx(noise.mean(), abs=1e-5)
        assert processor.terminate() == 0
    finally:
        if processor.process.poll() is None:
            processor.kill()


async def first_points(broker: Any) -> Points:
    connection = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    try:
        subscription = await connection.jetstream().subscribe(
            "points.riverside", stream="POINTS", ordered_consumer=True
        )
        message = await subscription.next_msg(timeout=10)
        return PointsBatch.FromString(message.data).points[0]
    finally:
        await connection.close()
