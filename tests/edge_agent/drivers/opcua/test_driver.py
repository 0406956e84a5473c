"""The driver and a real server: values, times, qualities, arrays, writes, and what is offered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from asyncua import ua

from edge_agent.drivers.base import BAD, Block, Lost, WriteError, Writer
from edge_agent.drivers.opcua import Options, browse


def point(uri: str, name: str, **given: Any) -> dict[str, Any]:
    return {"name": name, "node": f"nsu={uri};s={name}", "sample_rate_hz": 10.0, **given}


def has(name: str, value: float) -> Callable[[Block | Lost], bool]:
    def wanted(item: Block | Lost) -> bool:
        return isinstance(item, Block) and value in item.samples.get(name, ())

    return wanted


async def test_a_server_that_refuses_subscriptions_is_read_in_turn(
    house: Any, taking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "urn:polled"
    await house.do(house.add(uri, "Flow", 1.0))
    monkeypatch.setattr(house.server.iserver, "max_subscriptions", 0)
    run = taking(house.url, devices=[{"tag": "P", "points": [point(uri, "Flow")]}])

    await run.until(has("Flow", 1.0))
    await house.do(house.say(uri, "Flow", 2.0, time.time() * 1000))

    block = await run.until(has("Flow", 2.0))
    assert block.quality == {}


async def test_a_node_that_is_not_there_spoils_no_other(house: Any, taking: Any) -> None:
    uri = "urn:partly"
    await house.do(house.add(uri, "Flow", 1.0))
    run = taking(
        house.url,
        devices=[
            {
                "tag": "P",
                "points": [
                    point(uri, "Flow"),
                    point(uri, "Gone"),
                    point("urn:gone", "Flow 2"),
                    {**point(uri, "Path"), "node": "/No/Such"},
                ],
            }
        ],
    )

    block = await run.until(has("Flow", 1.0))

    assert block.quality == {"Gone": BAD, "Flow 2": BAD, "Path": BAD}
    assert all(np.isnan(block.samples[name]).all() for name in block.quality)


async def test_what_is_no_number_is_left_out(house: Any, taking: Any) -> None:
    uri = "urn:shapes"
    await house.do(house.add(uri, "Text", "on", ua.VariantType.String))
    await house.do(house.add(uri, "Array", [1.0, 2.0]))
    await house.do(house.add(uri, "Flow", 1.0))
    await house.do(house.add(uri, "On", True, ua.VariantType.Boolean))
    points = [point(uri, name) for name in ("Text", "Array", "On")]
    points.append(point(uri, "Flow", waveform=True))
    run = taking(house.url, devices=[{"tag": "P", "points": points}])

    block = await run.until(has("On", 1.0))

    assert block.quality == {"Text": BAD, "Array": BAD}
    assert "Flow" not in block.samples


async def test_the_deadband_is_the_servers(house: Any, taking: Any) -> None:
    uri = "urn:deadband"
    await house.do(house.add(uri, "Flow", 10.0))
    await house.do(house.add(uri, "On", False, ua.VariantType.Boolean))
    run = taking(
        house.url,
        devices=[{"tag": "P", "points": [point(uri, "Flow", deadband=1.0), point(uri, "On")]}],
    )
    await run.until(has("Flow", 10.0))

    await house.do(house.say(uri, "Flow", 10.5, time.time() * 1000))
    await house.do(house.say(uri, "On", True, time.time() * 1000))
    block = await run.until(has("On", 1.0))
    assert 10.5 not in block.samples["Flow"]

    await house.do(house.say(uri, "Flow", 12.0, time.time() * 1000))
    await run.until(has("Flow", 12.0))


@pytest.mark.parametrize(
    ("name", "kind", "value", "written"),
    [
        ("Speed", ua.VariantType.Double, 5, 5.0),
        ("Step", ua.VariantType.Int16, 7.0, 7),
        ("On", ua.VariantType.Boolean, True, True),
        ("Recipe", ua.VariantType.String, "A-7", "A-7"),
    ],
)
async def test_a_value_is_written_in_the_variables_type(
    house: Any, taking: Any, name: str, kind: ua.VariantType, value: Any, written: Any
) -> None:
    uri = "urn:written"
    start = "" if kind is ua.VariantType.String else kind is ua.VariantType.Boolean
    node = await house.do(
        house.add(
            uri, name, start if kind is not ua.VariantType.Double else 0.0, kind, writable=True
        )
    )
    await house.do(house.add(uri, f"Pulse {name}", 1.0))
    run = taking(
        house.url,
        devices=[
            {
                "tag": "P",
                "points": [point(uri, name, writable=True, unit="%"), point(uri, f"Pulse {name}")],
            }
        ],
    )
    with pytest.raises(WriteError, match="not connected"):
        await run.driver.write("P", name, value)
    await run.until(has(f"Pulse {name}", 1.0))

    assert isinstance(run.driver, Writer)
    assert run.driver.writable("P") == {name: "%"}
    await run.driver.write("P", name, value)

    held = await house.do(node.read_data_value())
    assert (held.Value.Value, held.Value.VariantType) == (written, kind)


async def test_a_write_that_cannot_be_is_refused_with_the_reason(house: Any, taking: Any) -> None:
    uri = "urn:refused"
    speed = await house.do(house.add(uri, "Speed", 0.0, writable=True))
    await house.do(
        speed.add_property(ua.NodeId("Speed.EURange", 2), "0:EURange", ua.Range(0.0, 100.0))
    )
    await house.do(house.add(uri, "Locked", 1.0))
    run = taking(
        house.url,
        devices=[
            {
                "tag": "P",
                "points": [
                    point(uri, "Speed", writable=True),
                    point(uri, "Locked", writable=True),
                    point(uri, "Gone", writable=True),
                ],
            }
        ],
    )
    await run.until(has("Locked", 1.0))

    for device, name, value, said in [
        ("P", "Speed", 101.0, "101 is not 0 to 100"),
        ("P", "Speed", "fast", "'fast' is no number"),
        ("P", "Locked", 2.0, "BadUserAccessDenied"),
        ("P", "Gone", 2.0, "no node"),
        ("P", "Height", 2.0, "no writable point 'Height'"),
        ("Q", "Speed", 2.0, "no writable point 'Speed'"),
    ]:
        with pytest.raises(WriteError, match=said):
            await run.driver.write(device, name, value)


async def test_browsing_lists_variables_depth_first(house: Any) -> None:
    uri = "urn:browsed;1%"
    await house.do(house.add(uri, "Flow", 1.5, parent="Pump", writable=True))
    wave = await house.do(house.add(uri, "Wave", [1.0] * 9, parent="Pump"))
    await house.do(house.add(uri, "Name", "x" * 99, ua.VariantType.String))
    await house.do(
        house.add(
            uri,
            "Guid",
            1,
            ua.VariantType.UInt16,
            node="g=" + "0" * 8 + "-0000-0000-0000-000000000007",
        )
    )
    unit = ua.EUInformation("http://www.opcfoundation.org/UA/units/un/cefact", 5067595)
    await house.do(
        wave.add_property(ua.NodeId("Wave.EngineeringUnits", 2), "0:EngineeringUnits", unit)
    )
    points = await browse(msgspec.convert({"endpoint": house.url}, Options))

    mine = [p for p in points if "nsu=urn:browsed%3B1%25;" in p.address]
    assert [(p.name, p.kind, p.unit, p.value, p.writable) for p in mine] == [
        ("Pump/Flow", "Double", "", "1.5", True),
        ("Pump/Wave", "Double[]", "m/s2", "9 values", False),
        ("Name", "String", "", "x" * 59 + "…", False),
        ("Guid", "UInt16", "", "1", False),
    ]
    assert mine[0].address == "nsu=urn:browsed%3B1%25;s=Flow"
    assert mine[3].address.endswith(";g=00000000-0000-0000-0000-000000000007")
    assert not [p for p in points if p.name.startswith("Server/")]


async def test_browsing_a_server_that_is_away_says_so() -> None:
    with pytest.raises(OSError, match=r"refused|failed"):
        await browse(msgspec.convert({"endpoint": "opc.tcp://127.0.0.1:1"}, Options))


async def test_no_call_is_larger_than_the_server_takes(
    house: Any, taking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "urn:limited"
    names = [f"Flow {i}" for i in range(5)]
    for name in names:
        await house.do(house.add(uri, name, 1.0))
    limit = house.server.get_node(
        ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall
    )
    service = house.server.iserver.subscription_service
    create, asked = service.create_monitored_items, []

    async def counted(parameters: Any) -> Any:
        asked.append(len(parameters.ItemsToCreate))
        return await create(parameters)

    monkeypatch.setattr(service, "create_monitored_items", counted)
    await house.do(limit.write_value(ua.Variant(2, ua.VariantType.UInt32)))
    try:
        run = taking(
            house.url, devices=[{"tag": "P", "points": [point(uri, name) for name in names]}]
        )
        await run.until(lambda item: isinstance(item, Block) and not item.quality)
    finally:
        await house.do(limit.write_value(ua.Variant(10_000, ua.VariantType.UInt32)))

    assert asked == [2, 2, 1]
