"""Gateways as they report and are listed, and a server without the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from edge_agent.v1 import report_pb2
from erp_modules.fleet import reports
from erp_modules.fleet.errors import PartMissing
from erp_modules.fleet.manifest import MANIFEST
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.errors import InvalidArgument, NotFound

Call = Callable[..., Any]


def get(call: Call, edge_node: str) -> pb.Gateway:
    request = pb.GetGatewayRequest(name=f"gateways/plant~{edge_node}")
    found: pb.Gateway = call("GatewayService.GetGateway", request)
    return found


def test_a_gateway_that_reports_is_known_and_then_silent(
    call: Call, report: Call, clock: ManualClock
) -> None:
    report("e1", group="north")
    seen = get(call, "e1")
    assert (seen.state, seen.connection) == (pb.GATEWAY_STATE_UNENROLLED, pb.CONNECTION_ONLINE)
    assert (seen.group, seen.report.report_interval_s) == ("north", 60)
    clock.advance(timedelta(seconds=180))
    assert get(call, "e1").connection == pb.CONNECTION_ONLINE
    clock.advance(timedelta(seconds=1))
    assert get(call, "e1").connection == pb.CONNECTION_SILENT
    with pytest.raises(NotFound):
        get(call, "e2")


def test_an_older_report_changes_nothing(
    app: Application, call: Call, report: Call, clock: ManualClock
) -> None:
    report("e1", group="new")
    late = report_pb2.GatewayReport(site="plant", edge_node="e1", group="old")
    earlier = clock.now() - timedelta(minutes=1)
    app.run(app.system("default", "fleet"), lambda ctx: reports.record(ctx, late, earlier))
    assert get(call, "e1").group == "new"


@pytest.mark.usefixtures("on_both")
def test_gateways_are_listed_by_what_is_asked(call: Call, report: Call, enrol: Call) -> None:
    for node, group in (("press-1", "north"), ("press-2", "south"), ("pump-1", "south")):
        report(node, group=group)
    enrol("press-2")

    def listed(**asked: Any) -> list[str]:
        answer = call("GatewayService.ListGateways", pb.ListGatewaysRequest(**asked))
        return [one.edge_node for one in answer.gateways]

    assert listed() == ["press-1", "press-2", "pump-1"]
    assert listed(group="south") == ["press-2", "pump-1"]
    assert listed(search="ress") == ["press-1", "press-2"]
    assert listed(search="%") == []
    assert listed(state=pb.GATEWAY_STATE_ENROLLED) == ["press-2"]
    assert listed(site="elsewhere") == []
    first = call("GatewayService.ListGateways", pb.ListGatewaysRequest(page_size=2))
    assert first.total_size == 3
    assert listed(page_size=2, page_token=first.next_page_token) == ["pump-1"]


def test_who_sees_one_site_sees_its_gateways(call: Call, report: Call) -> None:
    report("e1")
    report("e2", site="other")
    bob = Principal("users/bob", sites=frozenset({"other"}), roles=frozenset({Role.OPERATOR}))
    answer = call("GatewayService.ListGateways", pb.ListGatewaysRequest(), bob)
    assert [one.edge_node for one in answer.gateways] == ["e2"]


@pytest.mark.parametrize(
    "told",
    [
        report_pb2.GatewayReport(site="plant"),
        report_pb2.GatewayReport(site="a/b", edge_node="e1"),
        report_pb2.GatewayReport(site="plant", edge_node="e1", group="g" * 100),
        report_pb2.GatewayReport(
            site="plant", edge_node="e1", models=[report_pb2.ModelReport()] * 300
        ),
        report_pb2.GatewayReport(site="plant", edge_node="e1", last_error="x" * 300_000),
    ],
)
def test_a_report_that_cannot_be_kept_is_refused(told: report_pb2.GatewayReport) -> None:
    with pytest.raises(InvalidArgument):
        reports.check(told)


@pytest.fixture
def bare(sqlite_url: str) -> Iterator[Application]:
    application = bootstrap(sqlite_url, manifests=[MANIFEST])
    yield application
    application.close()


def test_a_server_without_the_parts_says_so(bare: Application, new_key: Any) -> None:
    request = pb.EnrolGatewayRequest(token="t", csr_pem=new_key().csr, site="plant", edge_node="e1")
    with pytest.raises(PartMissing, match="no certificate authority"):
        bare.call(
            "erp_modules.fleet.v1.GatewayService.EnrolGateway", request, Principal("anonymous")
        )
    for job in bare.jobs:
        bare.run(bare.system("default", "fleet"), job.run)
