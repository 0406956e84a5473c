"""The REST door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

import httpx
import pytest
from fastapi import FastAPI

from erp_modules.kernel import rest
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Authenticator, Principal
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb

AddVendor = Callable[..., pb.Vendor]


@pytest.fixture
async def http(app: Application, authenticator: Authenticator) -> AsyncIterator[httpx.AsyncClient]:
    server = FastAPI(openapi_url=None)
    server.router.routes.extend(rest.routes(app, authenticator))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(server),
        base_url="http://api.example",
        headers={"authorization": "Bearer ada"},
    ) as client:
        yield client


async def test_create_get_list_update(http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/vendors", json={"displayName": "Acme", "site": "north"})
    assert made.status_code == 200, made.text
    assert made.json()["displayName"] == "Acme"
    name = made.json()["name"]

    assert (await http.get(f"/v1/{name}")).json() == made.json()

    listed = (await http.get("/v1/vendors", params={"site": "north", "pageSize": 10})).json()
    assert listed == {"vendors": [made.json()], "nextPageToken": "", "totalSize": 1}

    changed = await http.patch(
        f"/v1/{name}",
        params={"updateMask": "displayName"},
        json={"displayName": "Acme Ltd", "email": "not this", "etag": made.json()["etag"]},
    )
    assert changed.status_code == 200, changed.text
    assert changed.json()["displayName"] == "Acme Ltd"
    assert changed.json()["email"] == ""
    assert changed.json()["etag"] != made.json()["etag"]


async def test_an_old_etag_is_a_conflict(http: httpx.AsyncClient, add_vendor: AddVendor) -> None:
    made = add_vendor("acme")
    body = {"displayName": "b", "etag": made.etag}
    assert (await http.patch(f"/v1/{made.name}", json=body)).status_code == 200
    refused = await http.patch(f"/v1/{made.name}", json=body)
    assert refused.status_code == 409
    assert refused.json()["code"] == "ABORTED"


async def test_a_problem_names_the_fields(http: httpx.AsyncClient) -> None:
    refused = await http.post("/v1/vendors", json={"email": "a@b.example"})
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["title"] == "Bad Request"
    assert problem["code"] == "INVALID_ARGUMENT"
    assert [error["field"] for error in problem["errors"]] == [
        "vendor.displayName",
        "vendor.site",
    ]


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (("GET", "/v1/vendors?pagesize=1", None), "pagesize"),
        (("GET", "/v1/vendors?pageSize=many", None), "pageSize"),
        (("GET", "/v1/vendors?pageSize=99999999999", None), "pageSize"),
        (("GET", "/v1/vendors?pageSize=-1", None), "pageSize"),
        (("GET", "/v1/vendors?orderBy=colour", None), "orderBy"),
        (("GET", "/v1/vendors?pageToken=nonsense", None), "pageToken"),
        (("POST", "/v1/vendors", b'{"displayname": "a"}'), "vendor.displayname"),
        (("POST", "/v1/vendors", b'{"displayName": 5}'), "vendor.displayName"),
        (("POST", "/v1/vendors", b'{"leadTimeDays": "soon"}'), "vendor.leadTimeDays"),
        (("POST", "/v1/vendors", b'{"createTime": "noon"}'), "vendor.createTime"),
        (("POST", "/v1/vendors", b'{"leadTimeDays": 1.5}'), "vendor.leadTimeDays"),
        (("POST", "/v1/vendors", b'{"leadTimeDays": NaN}'), "body"),
        (("POST", "/v1/vendors", b"[" * 100_000), "body"),
        (("POST", "/v1/vendors", b"{"), "body"),
        (("POST", "/v1/vendors", b"[]"), "body"),
        (("POST", "/v1/vendors", b"\xff\xfe{}"), "body"),
        (("POST", "/v1/vendors", b'{"displayName": "a\\u0000b"}'), "vendor.displayName"),
        (("PATCH", "/v1/vendors/a?updateMask=colour", b"{}"), "updateMask"),
        (("PATCH", "/v1/vendors/a?vendor.name=b", b"{}"), "vendor.name"),
    ],
)
async def test_bad_input_gets_one_error_that_names_the_field(
    http: httpx.AsyncClient, call: tuple[str, str, bytes | None], field: str
) -> None:
    verb, path, body = call
    refused = await http.request(verb, path, content=body)
    if path.startswith("/v1/vendors/a?updateMask"):
        made = await http.post("/v1/vendors", json={"displayName": "Acme", "site": "north"})
        refused = await http.request(
            verb, path.replace("vendors/a", made.json()["name"]), content=body
        )
    assert refused.status_code == 400, refused.text
    assert field in [error["field"] for error in refused.json()["errors"]]


async def test_nobody_gets_in_unknown(http: httpx.AsyncClient) -> None:
    for path in ("/v1/vendors", "/v1/openapi.json"):
        refused = await http.get(path, headers={"authorization": ""})
        assert refused.status_code == 401
        assert refused.json()["code"] == "UNAUTHENTICATED"


async def test_a_scope_is_needed(http: httpx.AsyncClient) -> None:
    headers = {"authorization": "Bearer olga"}
    assert (await http.get("/v1/vendors", headers=headers)).status_code == 200
    refused = await http.post("/v1/vendors", json={}, headers=headers)
    assert refused.status_code == 403


async def test_a_wrong_method_says_which_there_are(http: httpx.AsyncClient) -> None:
    refused = await http.delete("/v1/vendors")
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, POST"


async def test_a_fault_of_ours_stays_in_the_log(http: httpx.AsyncClient, app: Application) -> None:
    app.database.engine.dispose()
    with app.database.engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE trial_vendors")
        connection.commit()
    refused = await http.get("/v1/vendors", headers={"x-trace-id": "trace-1"})
    assert refused.status_code == 500
    assert refused.json()["traceId"] == "trace-1"
    assert "trial_vendors" not in refused.text


async def test_openapi_describes_every_route(http: httpx.AsyncClient) -> None:
    document = (await http.get("/v1/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]["/v1/vendors"]) == {"get", "post"}
    assert set(document["paths"]["/v1/vendors/{id}"]) == {"get", "patch"}
    parameters = document["paths"]["/v1/vendors"]["get"]["parameters"]
    assert [p["name"] for p in parameters] == ["pageSize", "pageToken", "orderBy", "site"]
    create = document["paths"]["/v1/vendors"]["post"]
    reference = create["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    vendor = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    assert vendor["properties"]["createTime"] == {"type": "string", "format": "date-time"}


def test_every_reference_of_the_document_resolves(app: Application) -> None:
    document = rest.openapi(app)
    names = set(document["components"]["schemas"])

    def references(node: object) -> set[str]:
        if isinstance(node, Mapping):
            own = {node["$ref"]} if "$ref" in node else set()
            return own.union(*map(references, node.values()))
        if isinstance(node, list):
            return set().union(*map(references, node)) if node else set()
        return set()

    used = {reference.rsplit("/", 1)[1] for reference in references(document)}
    assert used <= names
    assert used


def test_the_principal_is_of_an_organisation_served_here(app: Application) -> None:
    stranger = Principal("users/x", organisation="elsewhere", scopes=frozenset({"*"}))
    with pytest.raises(Exception, match="elsewhere"):
        app.call(
            "erp_modules.supply_chain.v1.VendorService.ListVendors",
            pb.ListVendorsRequest(),
            stranger,
        )
