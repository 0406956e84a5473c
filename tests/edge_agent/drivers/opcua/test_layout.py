"""Whole machines: found once, known ever after."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from edge_agent.drivers.base import Block
from edge_agent.drivers.layout_file import LayoutLearnedError
from edge_agent.drivers.opcua import open_driver
from edge_agent.drivers.opcua.layout import path_of

CEFACT = "http://www.opcfoundation.org/UA/units/un/cefact"


async def build(house: Any, uri: str) -> None:
    """Build a folder of two machines, of which one speaks for itself."""
    server = house.server
    index = await server.register_namespace(uri)

    async def analog(parent: Any, text: str, value: Any, code: int) -> Any:
        node = await parent.add_variable(index, text, value)
        await node.add_property(index, "EngineeringUnits", ua.EUInformation(CEFACT, code))
        return node

    hall = await server.nodes.objects.add_folder(index, f"Hall {uri}")
    press = await hall.add_object(index, "Press 1")
    await press.write_attribute(
        ua.AttributeIds.Description, ua.DataValue(ua.Variant(ua.LocalizedText("The old press")))
    )
    itself = await press.add_object(index, "Identification")
    await itself.add_property(index, "DeviceClass", "press")
    await itself.add_property(index, "Location", "acme/plant/hall/line/press")
    await itself.add_property(index, "Year", 1987)
    values = await press.add_object(index, "Monitoring")
    force = await analog(values, "Force", 3.5, 5129559)
    await force.set_writable()
    wave = await analog(values, "Vibration", [1.0, 2.0, 3.0], 5067595)
    await wave.add_property(index, "SampleRate", 200.0)
    await values.add_variable(index, "Unrated", [1.0])
    await values.add_variable(index, "Text", "no number")
    motor = await press.add_object(index, "Motor")
    await analog(motor, "Force", 4.5, 5129559)
    other = await hall.add_object(index, "Press 2")
    await other.add_variable(index, "Count", 7, ua.VariantType.UInt32)
    empty = await hall.add_object(index, "Empty")
    await empty.add_variable(index, "Text", "no number")


@pytest.fixture
async def hall(house: Any, request: pytest.FixtureRequest) -> str:
    uri = f"urn:hall:{request.node.name}"
    await house.do(build(house, uri))
    return f"/Hall {uri}"


async def test_machines_are_found_once_and_known_ever_after(
    house: Any, taking: Any, make: Any, hall: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "layout_file": str(tmp_path / "found.json"),
        "whole_machines": [{"node": hall, "each": True, "writable": True}],
    }
    first = taking(house.url, **options)
    assert first.driver.devices() == []
    with pytest.raises(LayoutLearnedError, match=r"machines found and written to .*: 2;"):
        await first.take()

    second = taking(house.url, block_s=1, settle_s=0.1, **options)
    press, other = second.driver.devices()

    assert (press.tag, press.equipment_class, press.path, press.description) == (
        "Press-1",
        "press",
        "acme/plant/hall/line/press",
        "The old press",
    )
    assert [(c.name, c.unit, c.sample_rate_hz, c.quantity) for c in press.channels] == [
        ("Monitoring/Force", "N", 1.0, "other"),
        ("Vibration", "m/s2", 200.0, "acceleration"),
        ("Motor/Force", "N", 1.0, "other"),
    ]
    assert second.driver.writable("Press-1") == {"Monitoring/Force": "N"}
    assert (other.tag, [c.name for c in other.channels]) == ("Press-2", ["Count"])
    block = await second.until(lambda item: isinstance(item, Block) and item.device == "Press-2")
    assert block.samples["Count"].tolist() == [7.0]


async def test_a_machine_that_is_not_there_yet_is_looked_for_again(
    house: Any, taking: Any, tmp_path: Path
) -> None:
    uri = "urn:hall:later"
    run = taking(
        house.url,
        layout_file=str(tmp_path / "found.json"),
        whole_machines=[{"node": f"/Hall {uri}/Press 2"}],
    )
    finding = asyncio.create_task(run.take())
    while not run.driver._reason.startswith("LookupError"):  # noqa: ASYNC110 (nobody is told)
        await asyncio.sleep(0.02)
    await house.do(build(house, uri))

    with pytest.raises(LayoutLearnedError, match=r"written to .*: 1;"):
        await finding


async def test_what_a_machine_offers_more_is_taken_at_the_next_start(
    house: Any, taking: Any, make: Any, hall: str, tmp_path: Path
) -> None:
    found = tmp_path / "found.json"
    options: dict[str, Any] = {
        "layout_file": str(found),
        "whole_machines": [{"node": f"{hall}/Press 2", "tag": "P-2", "path": "a/b"}],
    }
    with pytest.raises(LayoutLearnedError):
        await taking(house.url, **options).take()
    layout = json.loads(found.read_text())
    layout["devices"][0]["points"][0]["name"] = "Earlier"
    found.write_text(json.dumps(layout))

    run = taking(house.url, **options)
    assert [c.name for c in run.driver.devices()[0].channels] == ["Earlier"]
    await run.until(lambda item: isinstance(item, Block))

    (device,) = open_driver(make(house.url, **options)).devices()
    assert (device.tag, device.path, [c.name for c in device.channels]) == ("P-2", "a/b", ["Count"])


async def test_another_question_wants_another_answer(
    house: Any, taking: Any, make: Any, hall: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "layout_file": str(tmp_path / "found.json"),
        "whole_machines": [{"node": f"{hall}/Press 2"}],
    }
    with pytest.raises(LayoutLearnedError):
        await taking(house.url, **options).take()
    assert len(open_driver(make(house.url, **options)).devices()) == 1

    options["whole_machines"] = [{"node": f"{hall}/Press 1", "exclude": ["*Force"]}]
    assert open_driver(make(house.url, **options)).devices() == []
    with pytest.raises(LayoutLearnedError):
        await taking(house.url, **options).take()
    (device,) = open_driver(make(house.url, **options)).devices()
    assert [c.name for c in device.channels] == ["Year", "Vibration"]


def test_a_layout_that_is_damaged_is_said(make: Any, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    found.write_text("{")
    options = make("opc.tcp://plc", layout_file=str(found), whole_machines=[{"node": "i=1"}])

    with pytest.raises(ValueError, match="delete it to have it made anew"):
        open_driver(options)


def test_a_layout_has_a_place_of_its_own(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path))

    one, other = (path_of(make(f"opc.tcp://plc-{i}")) for i in range(2))

    assert one != other
    assert one.parent == tmp_path / "edge"
