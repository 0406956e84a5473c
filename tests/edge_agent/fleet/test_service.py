"""An agent in the fleet: reports, trials to their end, commands, renewal, all with real parts."""

from __future__ import annotations

import asyncio
import platform
import socket
import ssl
import subprocess
import time
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_agent import settings
from edge_agent.fleet import identity, service
from edge_agent.fleet.enrolment import enrol
from edge_agent.fleet.tls import TlsError, context_of
from edge_agent.fleet.vitals import VitalSigns
from edge_agent.main import RESTART
from edge_agent.updates import configuration
from edge_agent.updates.store import CONFIGURATION, Artefact, Slot, Store
from edge_agent.v1 import report_pb2 as pb
from edge_agent.v1.sparkplug_b_pb2 import DataType, Metric, Payload
from headrace import broker as broker_module

PLANT = """
[[drivers]]
kind = "plugin"
factory = "firmware_sim.driver:create"
pace_hz = 60.0
[drivers.options]
scenario = "healthy"
speed = "max"
days = 1000.0
"""
HEAD = 'site = "riverside"\nedge_node = "gw-1"\n'


def states(report: pb.GatewayReport, of: str = "fan") -> list[tuple[str, str]]:
    names = {v: n.removeprefix("INSTALLATION_STATE_") for n, v in pb.InstallationState.items()}
    return [(m.version, names[m.state]) for m in report.models if m.equipment_class == of]


def trust(agent: Any, root: bytes) -> None:
    own = identity.of(settings.read(agent.gateway, agent.environment))
    own.folder.mkdir(parents=True)
    own.root.write_bytes(root)


async def test_a_report_says_how_the_gateway_is(agent: Any, reports: Any) -> None:
    agent.gateway.write_text(f"{HEAD}[fleet]\nreport_interval_s = 0.5\n{PLANT}")
    agent.start()

    first = await reports.until(lambda r: r.spool_batches)

    assert (first.site, first.edge_node, first.group) == ("riverside", "gw-1", "default")
    assert first.boot_epoch > 1_700_000_000
    assert first.memory_bytes > 10 << 20
    assert first.disk_bytes > first.disk_free_bytes > 0
    assert first.runtime_version.split()[0] in ("ai-edge-litert", "tflite-runtime")
    assert first.agent_version == version("headrace")
    assert first.python_version == platform.python_version()
    assert first.operating_system.endswith(platform.machine())
    here = VitalSigns(agent.folder).read()
    assert first.HasField("temperature_deg_c") == (here.temperature_c is not None)
    assert first.log_level == "info"
    assert not first.HasField("clock_offset_ms")
    later = await reports.until(lambda r: any(m.windows for m in r.models))
    fan = next(m for m in later.models if m.equipment_class == "fan")
    assert (fan.name, fan.version, len(fan.sha256)) == ("autoencoder-fan", "1", 64)
    assert fan.state == pb.INSTALLATION_STATE_RUNNING
    assert 0 < fan.score_p50 <= fan.score_p99
    assert 0 < fan.latency_p50_us <= fan.latency_p99_us


@pytest.mark.slow
async def test_a_model_goes_from_trial_to_running_and_a_bad_one_does_not(
    agent: Any, cloud: Any, reports: Any, update_repository: Any, shipped: Any
) -> None:
    fan = {"kind": "model", "equipment_class": "fan", "version": "2", "rollout": "r2"}
    conveyor = {"kind": "model", "equipment_class": "conveyor", "version": "3", "rollout": "r3"}
    update_repository.add_model("fan", "2", shipped("fan"))
    update_repository.add_model("conveyor", "3", shipped("conveyor"), limit=0.01)
    update_repository.roll_out("riverside", fan, conveyor)
    update_repository.publish()
    agent.gateway.write_text(
        f'{HEAD}[updates]\nserver = "{update_repository.url}"\ncheck_interval_s = 1.0\n'
        f"trial_windows = 10\ntrial_latency_ms = 1000.0\n{PLANT}"
    )
    trust(agent, update_repository.root_bytes)
    cloud.acknowledging = True
    agent.start()

    good = await reports.until(lambda r: states(r)[:1] == [("2", "RUNNING")])
    bad = await reports.until(lambda r: ("3", "REVERTED") in states(r, "conveyor"))

    assert states(reports.got[0]) == [("1", "RUNNING")]
    assert any(("2", "TRIAL") in states(r) for r in reports.got)
    model = next(m for m in good.models if m.equipment_class == "fan")
    assert model.rollout == "r2"
    assert model.since_time.seconds > 1_700_000_000
    assert states(bad, "conveyor")[0] == ("1", "RUNNING")
    reverted = next(m for m in bad.models if m.state == pb.INSTALLATION_STATE_REVERTED)
    assert reverted.reason.startswith("scores: shifted by 0.")
    assert bad.update_check.result == "good"
    assert abs(bad.clock_offset_ms) < 5000
    # The births say it, too.
    await cloud.until(
        lambda: [
            h
            for h in cloud.of("DBIRTH")
            if h.device == "F-201" and h.metric("Edge/Model").string_value == "autoencoder-fan@2"
        ]
    )
    # No window went without a score while one model took over from another.
    windows = [h for h in cloud.of("DDATA") if h.device == "F-201"]
    aliases = {
        m.alias for h in cloud.of("DBIRTH") if h.device == "F-201"
        for m in h.payload.metrics if m.name == "Edge/Score"
    }  # fmt: skip
    assert len(windows) > 20
    assert len(aliases) == 1
    assert all(aliases & {m.alias for m in h.payload.metrics} for h in windows)
    numbers = cloud.numbers[windows[0].key[0]]
    assert numbers == set(range(1, max(numbers) + 1))
    # A later check finds what was taken back, and the shipped model counts again.
    update_repository.roll_out("riverside", {**fan, "state": "reverted"}, conveyor)
    update_repository.publish()
    seen = len(reports.got)
    back = [("1", "RUNNING"), ("2", "REVERTED")]
    await reports.until(lambda r: r in reports.got[seen:] and states(r) == back)


@pytest.mark.slow
async def test_a_configuration_goes_on_trial_by_a_restart_and_stays(
    agent: Any, cloud: Any, reports: Any, update_repository: Any
) -> None:
    update_repository.add(
        "configurations/line-1/7/gateway.toml", f"health_interval_s = 0.5\n{PLANT}".encode()
    )
    item = {"kind": "configuration", "name": "line-1", "version": "7"}
    update_repository.roll_out("riverside", item)
    update_repository.publish()
    agent.gateway.write_text(
        f'{HEAD}[updates]\nserver = "{update_repository.url}"\nconfiguration = "line-1"\n'
        f"check_interval_s = 2.0\nconfiguration_trial_s = 1.0\n{PLANT}"
    )
    trust(agent, update_repository.root_bytes)
    cloud.acknowledging = True
    agent.start()
    before = agent.gateway.read_bytes()

    assert await agent.ended() == RESTART
    agent.start()
    running = await reports.until(
        lambda r: [c.state for c in r.configurations] == [pb.INSTALLATION_STATE_RUNNING]
    )

    assert [(c.name, c.version) for c in running.configurations] == [("line-1", "7")]
    assert agent.gateway.read_bytes() == before
    assert await agent.until(lambda: agent.events("configuration stays"))


@pytest.mark.slow
async def test_a_configuration_that_crashes_the_agent_is_gone_after_two_starts(
    agent: Any, reports: Any, update_repository: Any
) -> None:
    bad = (
        '[[drivers]]\nkind = "plugin"\nfactory = "counting_driver:create"\npace_hz = 5.0\n'
        "[drivers.options]\nfail_after = 1\n"
    )
    agent.environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    agent.gateway.write_text(
        f'{HEAD}[updates]\nserver = "{update_repository.url}"\nconfiguration = "line-1"\n{PLANT}'
    )
    given = settings.read(agent.gateway, agent.environment)
    store = Store(configuration.folder_of(given))
    with store.staging() as folder, store.changing() as change:
        (folder / CONFIGURATION).write_text(bad)
        artefact = Artefact(version="7", files={CONFIGURATION: store.take(folder / CONFIGURATION)})
        change.put("configuration", "line-1", Slot(trial=artefact))

    codes = []
    for _ in range(2):
        agent.start()
        codes.append(await agent.ended())
    agent.start()
    # Those that crashed may have told of the trial before they did.
    report = await reports.until(
        lambda r: any(c.state == pb.INSTALLATION_STATE_REVERTED for c in r.configurations)
    )

    assert codes == [1, 1]
    (said,) = report.configurations
    assert (said.version, said.state) == ("7", pb.INSTALLATION_STATE_REVERTED)
    assert said.reason == "the agent ended badly 2 times with it"


@pytest.mark.slow
async def test_a_configuration_that_reads_nothing_is_taken_back(
    agent: Any, cloud: Any, reports: Any, update_repository: Any
) -> None:
    # Nothing listens there, and its check cannot know.
    silent = (
        '[[drivers]]\nkind = "modbus"\n[drivers.options.tcp]\nhost = "127.0.0.1"\nport = 1\n'
        '[[drivers.options.devices]]\ntag = "M-1"\nequipment_class = "mill"\npath = "a/b/c"\n'
        '[[drivers.options.devices.points]]\nname = "Level"\nunit = "m"\n'
        'table = "input"\naddress = 0\n'
    )
    update_repository.add("configurations/line-1/7/gateway.toml", silent.encode())
    item = {"kind": "configuration", "name": "line-1", "version": "7"}
    update_repository.roll_out("riverside", item)
    update_repository.publish()
    agent.gateway.write_text(
        f'{HEAD}[updates]\nserver = "{update_repository.url}"\nconfiguration = "line-1"\n'
        f"check_interval_s = 2.0\nconfiguration_patience_s = 2.0\n{PLANT}"
    )
    trust(agent, update_repository.root_bytes)
    agent.start()

    # For its trial, and to be rid of it.
    for _ in range(2):
        assert await agent.ended() == RESTART
        agent.start()
    report = await reports.until(
        lambda r: [c.state for c in r.configurations] == [pb.INSTALLATION_STATE_REVERTED]
    )

    (said,) = report.configurations
    assert (said.name, said.version) == ("line-1", "7")
    assert said.reason.startswith("nothing was read after")
    # The local file counts again.
    seen = len(cloud.heard)
    await cloud.until(lambda: [h for h in cloud.heard[seen:] if h.device == "F-201"])


async def test_a_task_that_fails_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "AGAIN_S", 0.0)
    begun: asyncio.Queue[int] = asyncio.Queue()

    async def fails() -> None:
        begun.put_nowait(begun.qsize())
        raise ValueError("once more")

    task = asyncio.create_task(service._kept_up(fails))
    for _ in range(3):
        await asyncio.wait_for(begun.get(), 10)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_commands_change_the_log_level_and_restart(
    agent: Any, cloud: Any, reports: Any
) -> None:
    agent.gateway.write_text(f"{HEAD}[fleet]\nlog_level_s = 10.0\n{PLANT}")
    agent.start()
    await cloud.until(lambda: len(cloud.data()) >= 1)

    await send(cloud, "Node Control/Log Level", "debug")
    await reports.until(lambda r: r.log_level == "debug")
    seen = len(reports.got)
    await reports.until(lambda r: r in reports.got[seen:] and r.log_level == "info")
    await send(cloud, "Node Control/Restart", True)

    assert await agent.ended() == RESTART
    await cloud.until(lambda: cloud.of("NDEATH"))


async def send(cloud: Any, name: str, value: str | bool) -> None:
    metric = Metric(name=name)
    if isinstance(value, bool):
        metric.datatype, metric.boolean_value = DataType.DATA_TYPE_BOOLEAN, value
    else:
        metric.datatype, metric.string_value = DataType.DATA_TYPE_STRING, value
    payload = Payload(timestamp=time.time_ns() // 1_000_000, metrics=[metric])
    await cloud.say("spBv1.0/riverside/NCMD/gw-1", payload.SerializeToString())


@pytest.fixture
def tls_broker(tmp_path: Path, door: Any) -> Any:
    """A NATS server that lets in only who has a certificate of the door's authority."""
    folder = tmp_path / "tls-broker"
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    server = door.authority.issue(key.public_key(), name, timedelta(days=1))
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "ca.pem").write_text(door.authority.pem)
    port, mqtt = broker_module.free_port(), broker_module.free_port()
    (folder / "nats.conf").write_text(
        f'server_name: tls\nlisten: "127.0.0.1:{port}"\n'
        f'jetstream {{ store_dir: "{folder}/store" }}\n'
        f'mqtt {{\n listen: "127.0.0.1:{mqtt}"\n tls {{ cert_file: "{folder}/server.pem"\n'
        f' key_file: "{folder}/server.key"\n ca_file: "{folder}/ca.pem"\n verify: true }}\n}}\n'
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [broker_module.executable(), "--config", str(folder / "nats.conf")],
            stdout=log,
            stderr=log,
        )
    door.broker_port = mqtt
    for _ in range(200):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", mqtt)) == 0:
                break
    yield mqtt
    process.kill()
    process.wait()


async def test_a_session_needs_the_certificate_and_survives_its_renewal(
    agent: Any, door: Any, tls_broker: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.gateway.write_text(f'{HEAD}[updates]\nserver = "{door.url}"\n{PLANT}')
    agent.environment = {
        name: value
        for name, value in agent.environment.items()
        if not name.startswith(("HEADRACE_MQTT", "HEADRACE_BROKER"))
    }
    monkeypatch.setenv("HEADRACE_DATA_DIR", agent.environment["HEADRACE_DATA_DIR"])
    # More than two thirds of its time are over.
    door.age, door.life = timedelta(days=9), timedelta(days=1)
    enrolled = enrol(door.url, "one-time", agent.gateway)
    agent.gateway.write_text(agent.gateway.read_text() + enrolled.lines)
    table = settings.read(agent.gateway, agent.environment).gateway.broker
    before = identity.of(settings.read(agent.gateway, agent.environment)).read_validity()
    door.age = timedelta(minutes=1)

    bare = ssl.create_default_context(cafile=table.ca)
    with (
        socket.create_connection(("127.0.0.1", tls_broker), timeout=10) as line,
        bare.wrap_socket(line, server_hostname="127.0.0.1") as session,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"),
    ):
        session.recv(1)
    async with aiomqtt.Client("127.0.0.1", tls_broker, tls_context=context_of(table)) as client:
        await client.publish("headrace/report/riverside/gw-1", b"", qos=1)
    agent.start()
    await agent.until(lambda: agent.events("certificate renewed"))
    await agent.until(lambda: len(agent.events("born")) >= 2)

    after = identity.of(settings.read(agent.gateway, agent.environment)).read_validity()
    assert [path for path, _ in door.asked] == ["/v1/gateways:enrol", "/v1/gateways:renew"]
    assert before is not None
    assert after is not None
    assert after.serial != before.serial


def test_a_broken_certificate_is_said(tmp_path: Path) -> None:
    table = settings.BrokerTable(ca=str(tmp_path / "missing.pem"))

    with pytest.raises(TlsError, match=r"\[broker\] ca, certificate or key"):
        context_of(table)
    assert context_of(settings.BrokerTable()) is None
