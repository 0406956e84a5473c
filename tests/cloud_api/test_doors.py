"""Both doors: who may not, and that they say the same."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cloud_api.v1 import historian_pb2
from erp_modules.fleet.v1 import fleet_pb2
from erp_modules.kernel.authorisation import Role
from erp_modules.kernel.policies import policy_of
from erp_modules.maintenance.v1 import maintenance_pb2
from erp_modules.supply_chain.v1 import supply_chain_pb2

METHODS: list[MethodDescriptor] = [
    method
    for contract in (maintenance_pb2, supply_chain_pb2, historian_pb2, fleet_pb2)
    for service in contract.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
# Signing in itself, and what a gateway proves itself for by a token or its key.
BY_PROOF = {"EnrolGateway": "/v1/gateways:enrol", "RenewGateway": "/v1/gateways:renew"}
OPEN = {("post", "/v1/session"), *(("post", path) for path in BY_PROOF.values())}
EQUIPMENT = "erp_modules.maintenance.v1.EquipmentService"


@pytest.fixture
def channel(server: Any) -> Iterator[grpc.Channel]:
    opened = server.channel()
    yield opened
    opened.close()


def call(
    channel: grpc.Channel, method: MethodDescriptor, request: Any = None, token: str = ""
) -> Any:
    path = f"/{method.containing_service.full_name}/{method.name}"
    invoke = channel.unary_unary(
        path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    metadata = [("authorization", f"Bearer {token}")] if token else []
    if request is None:
        request = GetMessageClass(method.input_type)()
    return invoke(request, metadata=metadata, timeout=20)


def named(name: str) -> MethodDescriptor:
    return next(m for m in METHODS if m.full_name.endswith(f".{name}"))


def concrete(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "1", path)


def test_a_stranger_gets_nothing_over_rest(
    stranger: httpx.Client, browser: httpx.Client, server: Any
) -> None:
    paths = browser.get("/openapi.json").json()["paths"]
    bindings = {(verb, path) for path, verbs in paths.items() for verb in verbs}
    assert len(bindings) >= len(METHODS)
    for verb, path in sorted(bindings - OPEN):
        answer = stranger.request(verb, concrete(path), content=b"{")
        assert answer.status_code == 401, (verb, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "UNAUTHENTICATED"
    for path in ("/openapi.json", "/v1/openapi.json", "/metrics", "/v1/no/such", "/v1/"):
        assert stranger.get(path).status_code == 401, path
    assert stranger.put("/v1/session").status_code == 401
    bearer = {"Authorization": "Bearer of-nothing-but-guesses"}
    assert stranger.get("/v1/tickets", headers=bearer).status_code == 401
    assert stranger.get("/healthz").status_code == 200
    assert stranger.get("/readyz").status_code == 200


def test_a_stranger_gets_nothing_over_grpc(channel: grpc.Channel) -> None:
    assert {m.name for m in METHODS if policy_of(m).scope == "public"} == set(BY_PROOF)
    for method in METHODS:
        for token in ("", "a-guess-of-the-token"):
            with pytest.raises(grpc.RpcError) as refused:
                call(channel, method, token=token)
            code = refused.value.code()
            if method.name in BY_PROOF:
                assert code is grpc.StatusCode.INVALID_ARGUMENT, method.full_name
            else:
                assert code is grpc.StatusCode.UNAUTHENTICATED, method.full_name


def test_the_processor_may_report_and_read_and_nothing_else(
    server: Any, channel: grpc.Channel
) -> None:
    for method in METHODS:
        scope = policy_of(method).scope
        allowed = scope.endswith(".read") or scope in ("maintenance.advisory.write", "public")
        try:
            call(channel, method, token=server.token)
            code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
        assert (code is not grpc.StatusCode.PERMISSION_DENIED) is allowed, (method.full_name, code)
    with server.service() as client:
        answer = client.post("/v1/parts", json={})
        assert answer.status_code == 403
        assert "supply_chain.part.write" in answer.json()["detail"]


def test_an_operator_may_not_write_parts_nor_see_other_sites(
    server: Any, browser: httpx.Client
) -> None:
    site, other = (f"{where}-{secrets.token_hex(3)}" for where in ("north", "south"))
    user = f"olga-{secrets.token_hex(3)}"
    server.add_user(user, {Role.OPERATOR}, {site})
    for where, tag in ((site, f"A-{site}"), (other, f"B-{other}")):
        made = browser.post(
            "/v1/equipment", json={"site": where, "tag": tag, "equipmentClass": "fan"}
        )
        assert made.status_code == 200, made.text
    with server.browser(user) as olga:
        assert olga.post("/v1/parts", json={}).status_code == 403
        tags = [e["tag"] for e in olga.get("/v1/equipment?pageSize=1000").json()["equipment"]]
        assert tags == [f"A-{site}"]
        series = olga.get(f"/v1/equipment/B-{other}/series", params={"site": other})
        assert series.status_code == 403


def test_both_doors_say_the_same(server: Any, browser: httpx.Client, channel: grpc.Channel) -> None:
    tag = f"P-{secrets.token_hex(3)}"
    body = {
        "site": "doors",
        "tag": tag,
        "equipmentClass": "centrifugal_pump",
        "criticality": "CRITICALITY_HIGH",
    }
    made = browser.post("/v1/equipment", json=body)
    assert made.status_code == 200, made.text
    name = made.json()["name"]
    for rpc, path, request in (
        ("GetEquipment", f"/v1/{name}", {"name": name}),
        ("ListEquipment", "/v1/equipment?site=doors&pageSize=7", {"site": "doors", "pageSize": 7}),
        ("ListTickets", "/v1/tickets?site=doors", {"site": "doors"}),
        ("ListParts", "/v1/parts?pageSize=3", {"pageSize": 3}),
        ("ListSeries", f"/v1/equipment/{tag}/series", {"equipment": tag}),
    ):
        method = named(rpc)
        message = json_format.ParseDict(request, GetMessageClass(method.input_type)())
        over_grpc = call(channel, method, message, server.token)
        over_rest = json_format.ParseDict(
            browser.get(path).json(), GetMessageClass(method.output_type)()
        )
        assert over_rest == over_grpc, rpc
    assert made.json()["criticality"] == "CRITICALITY_HIGH"


def test_errors_have_the_same_code_and_field_at_both_doors(
    server: Any, browser: httpx.Client, channel: grpc.Channel
) -> None:
    for rpc, path, request, status in (
        ("GetTicket", "/v1/tickets/none", {"name": "tickets/none"}, 404),
        ("ListTickets", "/v1/tickets?pageSize=-1", {"pageSize": -1}, 400),
        ("QueryPoints", "/v1/equipment/P/points", {"equipment": "P"}, 400),
        (
            "QueryPoints",
            "/v1/equipment/P/points?series=a&startTime=2026-01-02T00:00:00Z&endTime=2026-01-01T00:00:00Z",
            {
                "equipment": "P",
                "series": "a",
                "startTime": "2026-01-02T00:00:00Z",
                "endTime": "2026-01-01T00:00:00Z",
            },
            400,
        ),
        ("GetWaveform", "/v1/waveforms/none", {"name": "waveforms/none"}, 404),
    ):
        method = named(rpc)
        message = json_format.ParseDict(request, GetMessageClass(method.input_type)())
        with pytest.raises(grpc.RpcError) as refused:
            call(channel, method, message, server.token)
        answer = browser.get(path)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == refused.value.code().name
        assert answer.json()["detail"] == refused.value.details()


def test_problems_name_the_field(browser: httpx.Client) -> None:
    for path, field in (
        ("/v1/equipment/P-101/points", "series"),
        ("/v1/equipment/P-101/points?series=a&maxPoints=-1", "maxPoints"),
        ("/v1/deadLetters?pageToken=made-up", "pageToken"),
        ("/v1/deadLetters?noSuchThing=1", "noSuchThing"),
    ):
        answer = browser.get(path)
        assert answer.status_code == 400, answer.text
        assert [e["field"] for e in answer.json()["errors"]] == [field]


def test_health_is_open_and_reflection_is_not(server: Any, channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", EQUIPMENT, "cloud_api.v1.HistorianService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    question = reflection_pb2.ServerReflectionRequest(file_containing_symbol=EQUIPMENT)
    with pytest.raises(grpc.RpcError) as refused:
        list(reflection.ServerReflectionInfo(iter([question]), timeout=20))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    metadata = [("authorization", f"Bearer {server.token}")]
    (answer,) = reflection.ServerReflectionInfo(iter([question]), metadata=metadata, timeout=20)
    names = [
        FileDescriptorProto.FromString(file).name
        for file in answer.file_descriptor_response.file_descriptor_proto
    ]
    assert "erp_modules/maintenance/v1/maintenance.proto" in names


def test_a_method_that_is_none_is_unimplemented(channel: grpc.Channel) -> None:
    invoke = channel.unary_unary(
        "/cloud_api.v1.HistorianService/Forget",
        request_serializer=Empty.SerializeToString,
        response_deserializer=Empty.FromString,
    )
    with pytest.raises(grpc.RpcError) as refused:
        invoke(Empty(), timeout=20)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_every_answer_has_the_security_headers(
    stranger: httpx.Client, browser: httpx.Client
) -> None:
    for answer in (
        stranger.get("/"),
        stranger.get("/v1/tickets"),
        browser.get("/v1/tickets"),
        browser.get("/openapi.json"),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert browser.get("/v1/tickets").headers["cache-control"] == "no-store"


def test_the_metrics_are_for_who_is_signed_in(server: Any) -> None:
    with server.service() as client:
        assert "headrace_cloud_api_points_messages_total" in client.get("/metrics").text
