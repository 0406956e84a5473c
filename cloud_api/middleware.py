"""What holds for every HTTP request: origin, size, its answer's headers, and that it has one."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_api.sign_in.origin import SAFE_METHODS, check_origin
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.rest import MAX_BODY_BYTES, problem
from erp_modules.kernel.rpc import trace_of, translate

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
HSTS = "max-age=31536000"


class FrontMiddleware:
    """Checks origin and size of a request, adds headers, translates what nobody caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_secured(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers.setdefault("strict-transport-security", HSTS)
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        taken = 0

        async def receive_some() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise InvalidArgument.field("body", f"larger than {MAX_BODY_BYTES} bytes")
            return message

        trace_id = trace_of("")
        try:
            if scope["method"] not in SAFE_METHODS:
                check_origin(Headers(scope=scope))
            await self._app(scope, receive_some, send_secured)
        except Exception as error:
            if started:
                raise
            answer = problem(translate(error, scope["path"], trace_id), trace_id)
            await answer(scope, receive, send_secured)
