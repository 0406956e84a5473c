"""From a person at the server to a register of a machine, and back into the books."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient

from cloud_api.sign_in.accounts import Accounts
from cloud_api.sign_in.throttle import Throttle
from erp_modules.kernel.authorisation import Role
from erp_modules.kernel.bootstrap import bootstrap
from headrace.broker import free_port
from headrace.client import ApiClient, ApiError
from headrace.supervisor import Supervisor

SITE, NODE = "riverside", "gw-1"
PASSWORD = "a long password"
# The machine takes 30 to 110 %, the gateway lets pass up to 115, the server up to 120.
GATEWAY = f"""
site = "{SITE}"
edge_node = "{NODE}"
[fleet]
report_interval_s = 1.0
[[drivers]]
kind = "modbus"
[drivers.options.tcp]
host = "127.0.0.1"
port = %d
[[drivers.options.devices]]
tag = "P-101"
equipment_class = "centrifugal_pump"
period_s = 0.5
[[drivers.options.devices.points]]
name = "Rate Setpoint"
unit = "%%"
table = "holding"
address = 0
scale = 0.1
writable = true
[[writes]]
device = "P-101"
name = "Rate Setpoint"
minimum = 30
maximum = 115
confirm = true
"""


def wait(supervisor: Supervisor, condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, (what, [c.tail() for c in supervisor.children])
        time.sleep(0.1)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def setpoint(port: int) -> float:
    """Ask the machine itself, past everything of ours."""
    with ModbusTcpClient("127.0.0.1", port=port) as client:
        answer = client.read_holding_registers(0, count=1, device_id=1)
        return float(answer.registers[0]) / 10


def audit(data: Path, name: str) -> list[tuple[str, str]]:
    """Return who did what to a command, from the server's books."""
    with sqlite3.connect(data / "headrace.db") as database:
        found = database.execute(
            "SELECT principal, action FROM kernel_audit WHERE resource = ? ORDER BY position",
            (name,),
        ).fetchall()
    return [(str(who), str(what).rpartition(".")[2]) for who, what in found]


@pytest.mark.slow
@pytest.mark.xdist_group("e2e")
def test_a_write_reaches_a_register_and_the_books(tmp_path: Path) -> None:
    data, http, modbus = tmp_path / "data", free_port(), free_port()
    environment = {
        "HEADRACE_DATA_DIR": str(data),
        "HEADRACE_HTTP_PORT": str(http),
        "HEADRACE_GRPC_PORT": str(free_port()),
        "HEADRACE_ADMIN_PASSWORD": PASSWORD,
        "HEADRACE_LOG_FORMAT": "json",
    }
    file = tmp_path / "gateway.toml"
    file.write_text(GATEWAY % modbus)
    url = f"http://127.0.0.1:{http}"
    with (
        Supervisor(data, environment) as supervisor,
        ApiClient(url) as engineer,
        ApiClient(url) as second,
        ApiClient(url) as operator,
        ApiClient(url) as admin,
    ):
        supervisor.start("cloud_api", ["-m", "cloud_api"], ready=engineer.ready)
        arguments = ["modbus", "--port", str(modbus), "--machines", "P-101"]
        supervisor.start(
            "plant", ["-m", "firmware_sim.servers", *arguments], ready=lambda: listens(modbus)
        )
        application = bootstrap(f"sqlite:///{data / 'headrace.db'}")
        accounts = Accounts(application.database, application.clock, Throttle(time.monotonic), "")
        for name, client, role in (
            ("ada", engineer, Role.ENGINEER),
            ("bo", second, Role.ENGINEER),
            ("cy", operator, Role.OPERATOR),
        ):
            accounts.add_user(name, PASSWORD, frozenset({role}))
            client.sign_in(name, PASSWORD)
        admin.sign_in("admin", PASSWORD)
        agent = supervisor.start("agent", ["-m", "edge_agent", str(file)])

        def online() -> bool:
            gateways = engineer.list("gateways", site=SITE)
            return any(g["connection"] == "CONNECTION_ONLINE" for g in gateways)

        wait(supervisor, online, "a report")
        limit = {
            "site": SITE,
            "device": "P-101",
            "metric": "Rate Setpoint",
            "unit": "%",
            "minimum": 0,
            "maximum": 120,
            "secondPerson": True,
        }
        admin.post("/v1/writeLimits", limit)

        def propose(client: ApiClient, number: float) -> dict[str, Any]:
            return client.post(
                "/v1/commands:proposeWrite",
                {
                    "gateway": f"gateways/{SITE}~{NODE}",
                    "device": "P-101",
                    "metric": "Rate Setpoint",
                    "value": {"number": number},
                    "reason": "less is asked for",
                },
            )

        def confirm(client: ApiClient, command: dict[str, Any]) -> dict[str, Any]:
            path = f"/v1/{command['name']}"
            client.post(f"{path}:confirm", {"etag": command["etag"]})
            ends = ("DONE", "REFUSED", "FAILED", "UNANSWERED", "EXPIRED")
            wait(supervisor, lambda: client.get(path)["state"].endswith(ends), "an outcome")
            return client.get(path)

        # Scope, limit, second person: nothing of these leaves the server.
        with pytest.raises(ApiError) as refused:
            propose(operator, 85.3)
        assert refused.value.status == 403
        with pytest.raises(ApiError, match="not within 0 and 120 %"):
            propose(engineer, 121.0)
        command = propose(engineer, 85.3)
        with pytest.raises(ApiError, match="another person"):
            confirm(engineer, command)
        assert engineer.get(f"/v1/{command['name']}")["state"] == "COMMAND_STATE_PROPOSED"
        assert setpoint(modbus) == 0.0

        done = confirm(second, command)
        assert done["state"] == "COMMAND_STATE_DONE"
        assert done["outcomeValue"] == {"number": 85.3}
        assert setpoint(modbus) == 85.3

        # What the server allows the gateway may not, and what that allows the machine may not.
        late = confirm(second, propose(engineer, 118.0))
        assert late["state"] == "COMMAND_STATE_REFUSED"
        assert "118 is above 115 %" in late["outcomeReason"]
        failed = confirm(second, propose(engineer, 112.0))
        assert failed["state"] == "COMMAND_STATE_FAILED"
        assert "illegal value" in failed["outcomeReason"]
        assert setpoint(modbus) == 85.3

        log = [json.loads(line) for line in agent.log.read_text().splitlines()]

    assert audit(data, command["name"])[:2] == [
        ("users/ada", "ProposeWrite"),
        ("users/bo", "ConfirmWrite"),
    ]
    records = [r for r in log if r.get("audit") and r.get("metric") == "Rate Setpoint"]
    assert [(r["outcome"], r["requested_by"], r["confirmed_by"]) for r in records] == [
        (f"OUTCOME_{outcome}", "users/ada", "users/bo") for outcome in ("DONE", "REFUSED", "FAILED")
    ]
    assert [r["id"] for r in records] == [
        one["name"].removeprefix("commands/") for one in (done, late, failed)
    ]
