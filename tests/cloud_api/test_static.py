"""The web application's files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from cloud_api.middleware import FrontMiddleware
from cloud_api.static import WebApplication
from erp_modules.kernel.authorisation import Principal
from erp_modules.kernel.errors import Unauthenticated

PAGE = "<!doctype html><title>Headrace</title>"


class Nobody:
    """Knows only who sends the header `x-known`."""

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        if "x-known" not in headers:
            raise Unauthenticated("sign in")
        return Principal("users/ada")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text(PAGE)
    (dist / "favicon.svg").write_text("<svg/>")
    (dist / "assets" / "main-a1b2c3.js").write_text("x" * 5000)
    (tmp_path / "secret.txt").write_text("secret")
    return dist


def over(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://headrace")


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(
        routes=[
            Route("/{path:path}", WebApplication(Nobody(), folder).serve, methods=["GET", "POST"])
        ],
        middleware=[Middleware(FrontMiddleware), Middleware(GZipMiddleware)],
    )
    async with over(app) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/", "/tickets/tkt-abc", "/equipment/P-101", "/index.html"])
async def test_a_page_of_the_application_is_its_first_page(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"
    again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_hashed_assets_are_kept_for_ever_and_compressed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/assets/main-a1b2c3.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text == "x" * 5000


async def test_other_files_are_asked_for_again(client: httpx.AsyncClient) -> None:
    assert (await client.get("/favicon.svg")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/assets/gone-000.js", "/robots.txt", "/v1/nothing", "/v1/"])
async def test_what_is_not_there_is_said_to_who_is_signed_in(
    client: httpx.AsyncClient, path: str
) -> None:
    assert (await client.get(path)).status_code == 401
    answer = await client.get(path, headers={"x-known": "yes"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt"]
)
async def test_nothing_outside_the_folder_is_served(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 401
    assert "secret" not in answer.text


async def test_pages_take_no_posts(client: httpx.AsyncClient) -> None:
    assert (await client.post("/tickets/tkt-abc", headers={"x-known": "yes"})).status_code == 404


async def test_a_web_application_that_is_not_built_says_so(tmp_path: Path) -> None:
    serve = WebApplication(Nobody(), tmp_path / "none").serve
    async with over(Starlette(routes=[Route("/{path:path}", serve)])) as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert "make ui" in answer.text
