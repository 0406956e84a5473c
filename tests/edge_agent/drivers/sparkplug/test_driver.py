"""The driver against a real broker and an edge node of another make: the simulated plant's."""

from __future__ import annotations

import asyncio
import json
import socket
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent import drivers, settings
from edge_agent.browsing import browse
from edge_agent.cancellation import end
from edge_agent.checking import check
from edge_agent.drivers import OptionsError, sparkplug
from edge_agent.drivers.base import WriteError
from edge_agent.drivers.layout_file import LayoutLearnedError
from edge_agent.drivers.sparkplug.driver import SparkplugDriver
from edge_agent.settings import DriverTable
from firmware_sim.driver import DriverOptions, PlantDriver
from firmware_sim.servers.base import RATE_SETPOINT, LivePlant, is_slow
from firmware_sim.servers.sparkplug import SparkplugPlant
from headrace.broker import Broker

SAMPLE = Path(sparkplug.__file__).with_name("sample.toml")
TAG = "P-101"


class EdgeNode:
    """The plant's edge node, which runs until the test ends."""

    def __init__(self, broker: Broker) -> None:
        self.plant = LivePlant(
            PlantDriver(DriverOptions(speed=1.0, machines=(TAG,), vibration_interval_s=1))
        )
        self.node = SparkplugPlant(self.plant)
        self._broker = broker
        self.tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        broker = self._broker
        self.tasks = [
            asyncio.create_task(self.plant.run()),
            asyncio.create_task(
                self.node.run(
                    hostname=broker.host,
                    port=broker.mqtt_port,
                    username=broker.user,
                    password=broker.password,
                )
            ),
        ]

    async def stop(self) -> None:
        if self.tasks:
            await end(*self.tasks, again_s=5.0)


@pytest.fixture
async def edge_node(broker: Broker) -> AsyncIterator[EdgeNode]:
    node = EdgeNode(broker)
    yield node
    await node.stop()


def options(broker: dict[str, Any], node: EdgeNode, **more: Any) -> dict[str, Any]:
    device = node.plant.devices[TAG]
    points: list[dict[str, Any]] = [
        {
            "name": c.name,
            "unit": c.unit,
            "quantity": c.quantity,
            "location": c.location,
            "sample_rate_hz": c.sample_rate_hz,
            "waveform": not is_slow(c),
        }
        for c in device.channels
    ]
    points.append(
        {
            "name": RATE_SETPOINT,
            "metric": f"Setpoints/{RATE_SETPOINT}",
            "unit": "%",
            "writable": True,
        }
    )
    return {
        "broker": broker,
        "group": "plant",
        "rebirth_interval_s": 1,
        "devices": [{"tag": TAG, "source": f"line-plc/{TAG}", "points": points}],
        **more,
    }


def opened(given: dict[str, Any]) -> SparkplugDriver:
    driver = drivers.open_driver("sparkplug", given)
    assert isinstance(driver, SparkplugDriver)
    return driver


async def test_values_waveforms_and_a_set_point(
    broker_options: dict[str, Any], edge_node: EdgeNode, listening: Callable[..., Any]
) -> None:
    driver = opened(options(broker_options, edge_node))
    taking = listening(driver)
    said: dict[int, Any] = {}

    async def remember(now: Any) -> None:
        said[now.block.start_time_ms] = now

    edge_node.plant.listen(remember)
    edge_node.start()
    device = edge_node.plant.devices[TAG]
    fast = next(c.name for c in device.channels if not is_slow(c))
    slow = [c.name for c in device.channels if is_slow(c)]
    waves = await taking.until(
        lambda: len(w := [b for b in taking.blocks() if fast in b.samples]) >= 2 and w
    )
    for block in waves:
        source = said[block.start_time_ms].waveforms[fast]
        np.testing.assert_array_equal(block.samples[fast], source)
    await taking.until(lambda: all(len(taking.values(name)) >= 2 for name in slow))
    for name in slow:
        source = {np.float32(now.slow[name]) for now in said.values()}
        assert {np.float32(x) for x in taking.values(name)} <= source

    assert driver.writable(TAG) == {RATE_SETPOINT: "%"}
    await driver.write(TAG, RATE_SETPOINT, 55.0)
    await taking.until(lambda: 55.0 in taking.values(RATE_SETPOINT))
    assert edge_node.plant.setpoints(TAG)[0].value == 55.0
    with pytest.raises(WriteError, match="no writable point"):
        await driver.write(TAG, slow[0], 1.0)


async def test_a_host_that_comes_late_asks_for_births_and_deaths_are_lost_devices(
    broker_options: dict[str, Any], edge_node: EdgeNode, listening: Callable[..., Any]
) -> None:
    edge_node.start()
    taking = listening(opened(options(broker_options, edge_node)))
    await taking.until(lambda: taking.blocks())
    assert edge_node.node.births >= 1
    await edge_node.node.lose(TAG)
    await taking.until(lambda: taking.lost)
    assert taking.lost[0].reason == "the device died"
    count = len(taking.blocks())
    # Its data without a birth asks for one.
    await taking.until(lambda: len(taking.blocks()) > count)
    assert edge_node.node.births >= 2


async def test_the_edge_node_is_killed(
    broker_options: dict[str, Any], edge_node: EdgeNode, listening: Callable[..., Any]
) -> None:
    edge_node.start()
    taking = listening(opened(options(broker_options, edge_node)))
    await taking.until(lambda: taking.blocks())
    client = edge_node.node._client
    assert client is not None
    # No farewell: the connection breaks under it.
    connection: Any = client._client.socket()
    connection.shutdown(socket.SHUT_RDWR)
    await taking.until(lambda: taking.lost)
    assert "died" in taking.lost[0].reason or "anew" in taking.lost[0].reason
    count = len(taking.blocks())
    await taking.until(lambda: len(taking.blocks()) > count)


async def test_the_broker_dies_and_comes_back(
    broker: Broker,
    broker_options: dict[str, Any],
    edge_node: EdgeNode,
    listening: Callable[..., Any],
) -> None:
    edge_node.start()
    taking = listening(opened(options(broker_options, edge_node)))
    for round_ in (1, 2):
        count = len(taking.blocks())
        await taking.until(lambda c=count: len(taking.blocks()) > c)
        births = edge_node.node.births
        broker.kill()
        await taking.until(lambda r=round_: len(taking.lost) == r)
        # Nothing of it while it is lost.
        assert taking.items[-1] is taking.lost[-1]
        broker.start()
        last = taking.blocks()[-1].start_time_ms
        back = await taking.until(
            lambda m=last: [b for b in taking.blocks() if b.start_time_ms > m]
        )
        assert edge_node.node.births > births
        assert back[0].device == TAG
    assert [lost.device for lost in taking.lost] == [TAG, TAG]


async def test_we_say_whether_we_are_there(
    broker_options: dict[str, Any],
    edge_node: EdgeNode,
    new_client: Callable[..., Any],
    listening: Callable[..., Any],
) -> None:
    driver = opened(options(broker_options, edge_node, host_id="hall"))
    items = driver.blocks()
    async with new_client() as client:
        await client.subscribe("spBv1.0/STATE/hall", qos=1)
        states = aiter(client.messages)

        async def next_state() -> Any:
            async with asyncio.timeout(10):
                return json.loads((await anext(states)).payload)

        taking = asyncio.ensure_future(anext(items))
        first = await next_state()
        assert first["online"] is True
        # The will of an earlier connection comes late: we say again that we are there.
        await client.publish(
            "spBv1.0/STATE/hall", json.dumps({"online": False, "timestamp": 1}), qos=1, retain=True
        )
        assert (await next_state())["online"] is False
        assert await next_state() == first
        await end(taking, again_s=1.0)
        await items.aclose()  # type: ignore[attr-defined]
        assert await next_state() == {**first, "online": False}


async def test_whole_devices_are_found_once_and_known_then(
    broker_options: dict[str, Any],
    edge_node: EdgeNode,
    listening: Callable[..., Any],
    tmp_path: Path,
) -> None:
    given = options(
        broker_options,
        edge_node,
        devices=[],
        whole_devices=[{"source": "line-plc/*", "tag": "X-{device}", "writable": ["Setpoints/*"]}],
        layout_file=str(tmp_path / "layout.json"),
        learn_s=0.5,
    )
    edge_node.start()
    first = opened(given)
    assert first.devices() == []
    taking = listening(first)
    with pytest.raises(LayoutLearnedError, match="1 devices were found"):
        await taking.until(lambda: taking.blocks())

    driver = opened(given)
    (device,) = driver.devices()
    source = edge_node.plant.devices[TAG]
    assert device.tag == f"X-{TAG}"
    assert device.channels[: len(source.channels)] == source.channels
    assert driver.writable(device.tag) == {f"Setpoints/{RATE_SETPOINT}": "%"}
    again = listening(driver)
    await again.until(lambda: again.blocks())
    # Other options: what was found is not theirs.
    assert opened({**given, "whole_devices": [{"source": "line-plc/Q*"}]}).devices() == []


async def test_browse_lists_the_metrics(
    broker_options: dict[str, Any], edge_node: EdgeNode
) -> None:
    edge_node.start()
    given = options(broker_options, edge_node, browse_s=4.0)
    (found,) = await browse([DriverTable(kind="sparkplug", options=given)])
    assert found.error == ""
    names = {p.name: p for p in found.points}
    device = edge_node.plant.devices[TAG]
    assert {c.name for c in device.channels} <= set(names)
    for channel in device.channels:
        assert names[channel.name].unit == channel.unit
    assert names[device.channels[0].name].address == f"line-plc/{TAG} {device.channels[0].name}"


POINT = {"name": "V"}
DEVICE = {"tag": "A", "source": "n/d", "points": [POINT]}


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"group": "a/b", "devices": [DEVICE]}, "group"),
        ({"devices": [{**DEVICE, "source": "n/*"}]}, "devices[0].source"),
        ({"devices": [DEVICE, {**DEVICE, "tag": "B"}]}, "devices"),
        ({"devices": [{**DEVICE, "points": [POINT, POINT]}]}, "devices[0].points"),
        (
            {"devices": [{**DEVICE, "points": [{**POINT, "sample_rate_hz": 0.3}]}]},
            "devices[0].points[0].sample_rate_hz",
        ),
        (
            {"devices": [{**DEVICE, "points": [{**POINT, "waveform": True, "writable": True}]}]},
            "devices[0].points[0].writable",
        ),
        ({"whole_devices": [{"source": "*", "tag": "{x}"}]}, "whole_devices[0].tag"),
        ({}, "devices"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], path: str) -> None:
    given = {"broker": {"host": "h"}, "group": "g", **options}
    with pytest.raises(OptionsError) as caught:
        drivers.open_driver("sparkplug", given)
    assert caught.value.path == path or str(caught.value).startswith(f"{path}: ")


def test_the_sample_passes_the_check() -> None:
    assert check(SAMPLE) == []
    document = tomllib.loads(SAMPLE.read_text())
    assert settings.gateway_of(document).drivers[0].kind == "sparkplug"
