"""The local page, its JSON, its metrics and its health: what they say, and that they only say."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import urllib.error
import urllib.request
from email.message import Message
from html.parser import HTMLParser
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.fleet import page
from edge_agent.fleet.web import StatusServer
from headrace.broker import free_port

DOCUMENT: dict[str, Any] = {
    "site": "riverside", "edge_node": "gw-1", "version": "1.0", "time": "2026-01-05T06:00:00+00:00",
    "broker": {"connected": False, "host": "b", "port": 1883, "tls": False},
    "spool": {"depth": 3, "in_flight": 2, "sent": 9, "acknowledged": 6, "resent": 1, "dropped": 2,
              "bytes": 2048, "max_bytes": 1 << 30},
    "scored": 7,
    "devices": [
        {"tag": "<b>P-1</b>", "equipment_class": "fan", "model": "m@1", "score": 1.7, "age_s": 2.0,
         "lost": ""},
        {"tag": "P-2", "equipment_class": "mill", "model": "", "score": None, "age_s": None,
         "lost": "no answer & no light"},
    ],
    "models": [
        {"equipment_class": "fan", "version": "1", "source": "shipped", "windows": 7,
         "trial": {"version": "2", "windows": 4, "of": 60},
         "refused": {"version": "0", "reason": "slow"}},
        {"equipment_class": "mill", "version": "", "source": "", "windows": 0, "trial": None,
         "refused": None},
    ],
    "configuration": {"name": "line-1", "version": "7", "on_trial": True,
                      "refused": {"version": "6", "reason": "nothing was read"}},
    "certificate": {"not_after": "2026-02-01T00:00:00+00:00", "days_left": 27.0, "serial": "ab"},
    "updates": {"server": "https://c", "last_check": {
        "time": "2026-01-05T05:00:00+00:00", "result": "refused", "reason": "expired"}},
    "clock_skew_s": 0.4,
    "vitals": {"memory_bytes": 50 << 20, "cpu": 0.05, "cpu_s": 12.5, "disk_free_bytes": 1 << 33,
               "disk_bytes": 1 << 34, "temperature_c": None, "uptime_s": 7200.0},
    "log_level": "info",
    "troubles": [{"time": "t", "level": "error", "event": "it <broke>", "reason": ""}],
}  # fmt: skip


def get(url: str, method: str = "GET") -> tuple[int, Message, bytes]:
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


@pytest.fixture
async def url() -> Any:
    server = StatusServer("127.0.0.1", 0, True, lambda: DOCUMENT)
    yield f"http://127.0.0.1:{server.port}"
    server.close()


class Reader(HTMLParser):
    """What a page holds: its tags, the cells of its tables, its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_tells_all_and_loads_nothing() -> None:
    text = page.render(DOCUMENT)
    read = Reader(text)

    said = " ".join(read.text)
    for words in (
        "not connected; readings wait in the spool", "3 batches, 2.0 KiB of 1.0 GiB",
        "27.0 days left",
        "refused, 2026-01-05 05:00:00 UTC", "expired", "line-1 7, on trial", "<b>P-1</b>",
        "1.70 of limit 1", "lost: no answer & no light", "2, 4 of 60 windows", "0: slow",
        "it <broke>", "50.0 MiB", "6: nothing was read", "5.0 % of a core", "unknown", "0.4 s",
    ):  # fmt: skip
        assert words in said, words
    assert not [tag for tag, has in read.tags if {"src", "href"} & set(has)]
    assert "http" not in text.replace("http://", "").replace("https://c", "")
    assert ("html", {"lang": "en"}) in read.tags
    heads = [has for tag, has in read.tags if tag == "th"]
    assert heads
    assert all(has == {"scope": "col"} for has in heads)
    # What is abnormal has a shape and a word, too.
    assert "▲" in said


def test_a_page_without_anything_says_what_to_do() -> None:
    text = page.render(
        {
            **DOCUMENT,
            "devices": [],
            "models": [],
            "troubles": [],
            "certificate": None,
            "updates": {"server": "", "last_check": None},
        }
    )

    for words in ("No driver has declared a device", "headrace edge enrol", "[updates] server"):
        assert words in text


async def test_the_doors(url: str) -> None:
    for path, kind in (("/", "text/html"), ("/status.json", "application/json")):
        status, headers, body = await asyncio.to_thread(get, url + path)
        assert (status, headers.get_content_type()) == (200, kind)
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert int(headers["Content-Length"]) == len(body)
    assert json.loads(body) == DOCUMENT
    assert (await asyncio.to_thread(get, url + "/healthz"))[0] == 200
    assert (await asyncio.to_thread(get, url + "/../etc/passwd"))[0] == 404
    for method in ("POST", "PUT", "DELETE"):
        assert (await asyncio.to_thread(get, url + "/", method))[0] == 501


async def test_it_listens_on_ipv6_too() -> None:
    try:
        server = StatusServer("::1", 0, True, lambda: DOCUMENT)
    except OSError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    try:
        assert (await asyncio.to_thread(get, f"http://[::1]:{server.port}/healthz"))[0] == 200
    finally:
        server.close()


async def test_a_name_pointed_at_this_machine_gets_nothing(url: str) -> None:
    def asked(host: str) -> int:
        request = urllib.request.Request(f"{url}/status.json", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert await asyncio.to_thread(asked, "localhost:8090") == 200
    assert await asyncio.to_thread(asked, "evil.example:8090") == 421
    assert await asyncio.to_thread(asked, "evil.example:[") == 421


async def test_metrics_are_what_prometheus_reads(url: str) -> None:
    _, _, body = await asyncio.to_thread(get, url + "/metrics")

    samples = {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert samples[("headrace_edge_batches_sent_total",)] == 9
    assert samples[("headrace_edge_batches_dropped_total",)] == 2
    assert samples[("headrace_edge_windows_scored_total",)] == 7
    assert samples[("headrace_edge_broker_connected",)] == 0
    assert samples[("headrace_edge_spool_bytes",)] == 2048
    assert samples[("headrace_edge_spool_in_flight_batches",)] == 2
    assert samples[("headrace_edge_spool_max_bytes",)] == 1 << 30
    assert samples[("headrace_edge_cpu_seconds_total",)] == 12.5
    assert samples[("headrace_edge_disk_free_bytes",)] == 1 << 33
    assert samples[("headrace_edge_disk_size_bytes",)] == 1 << 34
    assert samples[("headrace_edge_clock_skew_seconds",)] == 0.4
    assert samples[("headrace_edge_update_check_timestamp_seconds",)] == 1767589200
    assert samples[("headrace_edge_update_check_good",)] == 0
    assert samples[("headrace_edge_device_score_ratio", "<b>P-1</b>")] == 1.7
    assert samples[("headrace_edge_device_connected", "P-2")] == 0
    assert samples[("headrace_edge_model_info", "fan", "shipped", "1")] == 1
    assert samples[("headrace_edge_certificate_end_timestamp_seconds",)] == 1769904000
    assert ("headrace_edge_temperature_celsius",) not in samples


async def test_metrics_are_named_as_prometheus_asks_for(url: str) -> None:
    _, _, body = await asyncio.to_thread(get, url + "/metrics")
    families = list(text_string_to_metric_families(body.decode()))

    assert len(families) > 15
    for family in families:
        assert re.fullmatch(r"headrace_edge_[a-z0-9_]*[a-z0-9]", family.name), family.name
        assert family.documentation.endswith("."), family.name
        # Base units only, and only a counter is a total.
        assert not re.search(r"_(ms|us|mb|mib|kb|percent|hours|days|f)(_|$)", family.name)
        ends = {sample.name.endswith("_total") for sample in family.samples}
        assert ends == {family.type == "counter"}, family.name
        number = family.name.removeprefix("headrace_edge_")
        if any(word in number for word in ("spool_", "disk", "memory")):
            assert number.endswith(("_bytes", "_batches")), family.name


async def test_health_fails_when_the_loop_does_not_turn(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.fleet.web.ANSWER_S", 0.2)
    found: list[int] = []
    asked = threading.Thread(target=lambda: found.append(get(url + "/healthz")[0]))
    asked.start()

    # Nothing else runs on the loop meanwhile.
    asked.join(20)

    assert found == [503]
    assert (await asyncio.to_thread(get, url + "/healthz"))[0] == 200


async def test_an_agent_serves_its_own(agent: Any, broker: Any) -> None:
    port = free_port()
    agent.gateway.write_text(
        'site = "riverside"\nedge_node = "gw-1"\n'
        f"[status]\nport = {port}\n"
        '[[drivers]]\nkind = "plugin"\nfactory = "firmware_sim.driver:create"\npace_hz = 20.0\n'
        '[drivers.options]\nscenario = "healthy"\n'
    )
    agent.start()
    url = f"http://127.0.0.1:{port}"

    def document() -> Any:
        try:
            found = json.loads(get(f"{url}/status.json")[2])
        except OSError:
            return None
        scored = [d for d in found["devices"] if d["score"] is not None]
        return found if scored and found["broker"]["connected"] else None

    said = await agent.until(document)

    assert (said["site"], said["edge_node"]) == ("riverside", "gw-1")
    assert said["spool"]["depth"] > 0
    fan = next(d for d in said["devices"] if d["tag"] == "F-201")
    assert fan["model"] == "autoencoder-fan@1"
    assert [m["source"] for m in said["models"] if m["equipment_class"] == "fan"] == ["shipped"]
    assert said["vitals"]["memory_bytes"] > 10 << 20
    assert b"F-201" in get(f"{url}/")[2]
    assert b"headrace_edge_broker_connected 1.0" in get(f"{url}/metrics")[2]


async def test_a_taken_address_does_not_keep_the_agent_from_its_work(
    agent: Any, cloud: Any, url: str
) -> None:
    agent.gateway.write_text(
        'site = "riverside"\nedge_node = "gw-1"\n'
        f"[status]\nport = {url.rpartition(':')[2]}\n"
        '[[drivers]]\nkind = "plugin"\nfactory = "firmware_sim.driver:create"\n'
    )
    agent.start()

    await cloud.until(lambda: cloud.data())

    assert agent.events("no status page")
