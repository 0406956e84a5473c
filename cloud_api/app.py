"""The HTTP side: REST from the contracts, sign-in, live view, web application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from cloud_api.live import LiveHub
from cloud_api.middleware import FrontMiddleware
from cloud_api.readiness import Readiness
from cloud_api.sign_in.accounts import Accounts
from cloud_api.sign_in.authenticator import COOKIE
from cloud_api.sign_in.routes import SIGN_IN, session_routes
from cloud_api.static import WEB, WebApplication
from cloud_api.update_routes import update_routes
from cloud_api.updates import UpdateRepository
from erp_modules.kernel import rest
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Authenticator
from erp_modules.kernel.errors import FieldViolation, InvalidArgument, NotFound


def create_app(
    application: Application,
    accounts: Accounts,
    authenticator: Authenticator,
    hub: LiveHub,
    readiness: Readiness,
    updates: UpdateRepository | None = None,
    web: Path = WEB,
) -> FastAPI:
    """Return the ASGI application; everything but health, signed updates and the UI's files needs
    a sign-in.
    """
    app = FastAPI(title="Headrace", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(session_routes(accounts, authenticator, application.authorisation))
    document = _document(application, app)

    async def healthy(request: Request) -> Response:
        return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})

    async def ready(request: Request) -> Response:
        body = {"ready": readiness.ready, "parts": readiness.state()}
        return JSONResponse(
            body, 200 if readiness.ready else 503, headers={"cache-control": "no-store"}
        )

    async def metrics(request: Request) -> Response:
        await authenticator.authenticate(dict(request.headers))
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def describe(request: Request) -> Response:
        await authenticator.authenticate(dict(request.headers))
        return JSONResponse(document)

    app.router.routes += [
        Route("/healthz", healthy),
        Route("/readyz", ready),
        Route("/metrics", metrics),
        Route("/openapi.json", describe),
        WebSocketRoute("/v1/live", hub.serve),
        *update_routes(updates),
        *rest.routes(application, authenticator),
        Route(
            "/{path:path}",
            WebApplication(authenticator, web).serve,
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        ),
    ]

    async def refused(request: Request, error: Exception) -> Response:
        # What is wrong with a request is told to who may make it.
        if (request.method, request.url.path) != ("POST", SIGN_IN):
            await authenticator.authenticate(dict(request.headers))
        return _problem(error)

    app.add_exception_handler(RequestValidationError, refused)
    app.add_exception_handler(HTTPException, refused)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(FrontMiddleware)
    return app


def _document(application: Application, app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the contracts, with the sign-in's own paths."""
    document = rest.openapi(application)
    own = app.openapi()
    document["paths"] = dict(sorted({**document["paths"], **own["paths"]}.items()))
    components = document["components"]
    components["schemas"].update(own.get("components", {}).get("schemas", {}))
    components["securitySchemes"]["session"] = {"type": "apiKey", "in": "cookie", "name": COOKIE}
    return document


def _problem(error: Exception) -> Response:
    """Return FastAPI's refusal as the kernel's doors would have said it."""
    if isinstance(error, RequestValidationError):
        violations = [
            FieldViolation(".".join(map(str, one["loc"][1:])) or "body", one["msg"])
            for one in error.errors()
        ]
        detail = "; ".join(f"{v.field}: {v.message}" for v in violations)
        return rest.problem(InvalidArgument(detail, violations))
    assert isinstance(error, HTTPException)
    kind = NotFound if error.status_code == 404 else InvalidArgument
    return rest.problem(kind(error.detail), status=error.status_code)
