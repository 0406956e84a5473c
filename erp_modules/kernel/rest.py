"""The REST door: routes derived from the contracts' HTTP bindings."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus

from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import PUBLIC, Authenticator
from erp_modules.kernel.errors import (
    FieldViolation,
    InvalidArgument,
    ResourceExhausted,
    ServiceError,
)
from erp_modules.kernel.openapi import openapi
from erp_modules.kernel.rpc import ANONYMOUS, TRACE_HEADER, trace_of, translate
from erp_modules.kernel.transcoding import Binding, bindings

__all__ = ["openapi", "problem", "routes"]

MAX_BODY_BYTES = 8 * 1024 * 1024
_PROBLEM = "application/problem+json"


def routes(app: Application, authenticator: Authenticator) -> list[Route]:
    """Return the routes of every RPC of `app` and of `/v1/openapi.json`."""
    by_path: dict[str, dict[str, Binding]] = defaultdict(dict)
    for method in app.methods.values():
        for binding in bindings(method):
            by_path[binding.path][binding.verb] = binding
    # Paths with a verb (`tickets/{p0}:start`) first: `{p0}` alone would take the verb as well.
    paths = sorted(by_path, key=lambda path: (":" not in path.rsplit("/", 1)[1], path))
    document = json.dumps(openapi(app))

    async def describe(request: Request) -> Response:
        trace_id = trace_of(request.headers.get(TRACE_HEADER, ""))
        try:
            await authenticator.authenticate(dict(request.headers))
        except Exception as error:  # noqa: BLE001 the door translates every error, once
            return problem(translate(error, "openapi", trace_id), trace_id)
        return Response(document, media_type="application/json")

    return [
        Route("/v1/openapi.json", describe),
        *(_route(path, by_path[path], app, authenticator) for path in paths),
    ]


def problem(error: ServiceError, trace_id: str = "", status: int = 0) -> Response:
    """Return an error as application/problem+json (RFC 9457)."""
    status = status or error.status
    body: dict[str, object] = {
        "type": "about:blank",
        "title": _title(status),
        "status": status,
        "detail": error.message,
        "code": error.code.name,
    }
    if error.violations:
        body["errors"] = [{"field": v.field, "message": v.message} for v in error.violations]
    headers = {}
    if trace_id:
        body["traceId"] = headers[TRACE_HEADER] = trace_id
    if isinstance(error, ResourceExhausted):
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    return JSONResponse(body, status, headers, _PROBLEM)


def _title(status: int) -> str:
    return "Client Closed Request" if status == 499 else HTTPStatus(status).phrase


def _route(
    path: str, by_verb: Mapping[str, Binding], app: Application, authenticator: Authenticator
) -> Route:
    async def serve(request: Request) -> Response:
        trace_id = trace_of(request.headers.get(TRACE_HEADER, ""))
        verb = "GET" if request.method == "HEAD" else request.method
        binding = by_verb.get(verb)
        if binding is None:
            refused = InvalidArgument(f"{request.url.path} does not take {request.method}")
            response = problem(refused, trace_id, HTTPStatus.METHOD_NOT_ALLOWED)
            response.headers["allow"] = ", ".join(sorted(by_verb))
            return response
        method = binding.method
        try:
            principal = (
                ANONYMOUS
                if method.policy.scope == PUBLIC
                else await authenticator.authenticate(dict(request.headers))
            )
            segments = [request.path_params[f"p{i}"] for i in range(len(request.path_params))]
            message = binding.request(
                segments, request.query_params.multi_items(), await _body(request)
            )
        except Exception as error:  # noqa: BLE001 the door translates every error, once
            return problem(translate(error, method.full_name, trace_id), trace_id)
        try:
            answer = await app.acall(method.full_name, message, principal, trace_id)
        except Exception as error:  # noqa: BLE001 the door translates every error, once
            known = translate(error, method.full_name, trace_id)
            known.violations = tuple(
                FieldViolation(json_name(v.field), v.message) for v in known.violations
            )
            return problem(known, trace_id)
        return Response(
            to_json(answer), media_type="application/json", headers={TRACE_HEADER: trace_id}
        )

    return Route(path, serve, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise InvalidArgument.field("body", f"larger than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def json_name(field: str) -> str:
    """Return a field's path in the spelling of JSON.

    >>> json_name("ticket.suggested_steps[0]")
    'ticket.suggestedSteps[0]'
    """
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), field)


def to_json(message: Message) -> str:
    """Return protobuf's JSON mapping of a message, empty fields included, except unset messages."""
    return json_format.MessageToJson(
        message, indent=None, always_print_fields_with_no_presence=True
    )
