"""What was measured, through the doors."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

import httpx
import nats
import numpy as np
import pytest

from stream_processor.v1.points_pb2 import Points, PointsBatch

START = 1_767_225_600_000


async def publish(server: Any, *messages: Points) -> None:
    client = await nats.connect(
        server.broker.nats_url, user=server.broker.user, password=server.broker.password
    )
    for message in messages:
        batch = PointsBatch(points=[message])
        await client.jetstream().publish(f"points.{message.site}", batch.SerializeToString())
    await client.close()


def listed(client: httpx.Client, tag: str, site: str = "") -> list[dict[str, Any]]:
    """Wait until the equipment has series and return them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = client.get(f"/v1/equipment/{tag}/series", params={"site": site})
        assert answer.status_code == 200, answer.text
        series: list[dict[str, Any]] = answer.json()["series"]
        if series:
            return series
        time.sleep(0.05)
    raise AssertionError(f"no series of {tag} within a minute")


@pytest.fixture
def tag() -> str:
    """A tag no other test writes."""
    return f"P-{secrets.token_hex(4)}"


def test_a_spike_survives_at_any_zoom(server: Any, browser: httpx.Client, tag: str) -> None:
    times = [START + 1000 * second for second in range(3600)]
    points = Points(site="north", equipment=tag)
    points.aggregates.add(
        channel="Vibration",
        unit="m/s2",
        time_ms=times,
        mean=[0.0] * 3600,
        minimum=[-1.0] * 3600,
        maximum=[99.0 if second == 1234 else 1.0 for second in range(3600)],
        count=[3200] * 3600,
    )
    asyncio.run(publish(server, points))
    assert listed(browser, tag) == [
        {
            "series": "Vibration",
            "unit": "m/s2",
            "aggregated": True,
            "firstTime": "2026-01-01T00:00:00Z",
            "lastTime": "2026-01-01T00:59:59Z",
        }
    ]
    for count in (1, 10, 500, 9999):
        trend = browser.get(
            f"/v1/equipment/{tag}/points", params={"series": "Vibration", "maxPoints": count}
        ).json()
        assert len(trend["timeMs"]) <= count
        assert (max(trend["maximum"]), min(trend["minimum"])) == (99.0, -1.0)
        assert trend["unit"] == "m/s2"
    part = browser.get(
        f"/v1/equipment/{tag}/points",
        params={
            "series": "Vibration",
            "startTime": "2026-01-01T00:10:00Z",
            "endTime": "2026-01-01T00:10:03Z",
        },
    ).json()
    assert part["timeMs"] == [str(START + 600_000 + 1000 * n) for n in range(3)]


def test_a_waveform_is_an_array_of_its_samples(
    server: Any, browser: httpx.Client, tag: str
) -> None:
    samples = np.sin(np.arange(3200)).astype("<f4")
    points = Points(site="north", equipment=tag)
    points.series.add(name="health", unit="1", time_ms=[START], value=[0.5])
    points.waveforms.add(
        waveform_id=f"w-{tag}",
        channel="Vibration",
        unit="m/s2",
        start_time_ms=START,
        sample_rate_hz=3200,
        samples=samples.tobytes(),
    )
    asyncio.run(publish(server, points))
    listed(browser, tag)
    waveform = browser.get(f"/v1/waveforms/w-{tag}").json()
    assert np.array_equal(np.array(waveform.pop("samples"), "<f4"), samples)
    assert waveform == {
        "name": f"waveforms/w-{tag}",
        "equipment": tag,
        "channel": "Vibration",
        "unit": "m/s2",
        "startTime": "2026-01-01T00:00:00Z",
        "sampleRateHz": 3200.0,
    }


def test_a_tag_of_two_sites_needs_the_site(server: Any, browser: httpx.Client, tag: str) -> None:
    for site, value in (("north", 0.1), ("south", 0.2)):
        points = Points(site=site, equipment=tag)
        points.series.add(name="health", unit="1", time_ms=[START], value=[value])
        asyncio.run(publish(server, points))
        listed(browser, tag, site)
    answer = browser.get(f"/v1/equipment/{tag}/points", params={"series": "health"})
    assert answer.status_code == 400
    assert [e["field"] for e in answer.json()["errors"]] == ["site"]
    assert "north and south" in answer.json()["detail"]
    south = browser.get(f"/v1/equipment/{tag}/points", params={"series": "health", "site": "south"})
    assert south.json()["value"] == [0.2]


def test_nothing_measured_is_an_empty_answer(browser: httpx.Client, tag: str) -> None:
    assert browser.get(f"/v1/equipment/{tag}/series").json() == {"series": []}
    trend = browser.get(f"/v1/equipment/{tag}/points?series=health").json()
    assert (trend["timeMs"], trend["value"]) == ([], [])
