"""The gRPC door: every service of an application on a `grpc.aio` server."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import (  # type: ignore[import-untyped]
    code_pb2,
    error_details_pb2,
    status_pb2,
)

from erp_modules.kernel.application import Application, Method
from erp_modules.kernel.authorisation import PUBLIC, Authenticator, Principal
from erp_modules.kernel.errors import Internal, ResourceExhausted, ServiceError

log = structlog.get_logger(__name__)

TRACE_HEADER = "x-trace-id"
ANONYMOUS = Principal("anonymous")


def add_services(server: grpc.aio.Server, app: Application, authenticator: Authenticator) -> None:
    """Register every RPC of `app` on `server`, before it is started."""
    by_service: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
    for method in app.methods.values():
        service = method.descriptor.containing_service.full_name
        by_service.setdefault(service, {})[method.descriptor.name] = _handler(
            app, method, authenticator
        )
    for service, handlers in by_service.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        server.add_registered_method_handlers(service, handlers)


def _handler(
    app: Application, method: Method, authenticator: Authenticator
) -> grpc.RpcMethodHandler:
    async def serve(request: Message, call: grpc.aio.ServicerContext[Any, Any]) -> Message:
        headers = {k: v for k, v in call.invocation_metadata() or () if isinstance(v, str)}
        trace_id = trace_of(headers.get(TRACE_HEADER, ""))
        try:
            principal = (
                ANONYMOUS
                if method.policy.scope == PUBLIC
                else await authenticator.authenticate(headers)
            )
            return await app.acall(method.full_name, request, principal, trace_id)
        except Exception as error:
            known = translate(error, method.full_name, trace_id)
            call.set_trailing_metadata(
                (
                    (TRACE_HEADER, trace_id),
                    ("grpc-status-details-bin", status_of(known).SerializeToString()),
                )
            )
            await call.abort(known.code, known.message)
            raise AssertionError("unreachable") from error

    unary: Callable[..., Awaitable[Message]] = serve
    return grpc.unary_unary_rpc_method_handler(
        unary,
        request_deserializer=method.request.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )


def trace_of(given: str) -> str:
    """Return the caller's trace id when it is one, else a new one."""
    usable = 0 < len(given) <= 64 and given.isascii() and given.replace("-", "").isalnum()
    return given if usable else secrets.token_hex(16)


def translate(error: Exception, what: str, trace_id: str) -> ServiceError:
    """Return what the caller is told; what is no `ServiceError` goes to the log and stays there."""
    if isinstance(error, ServiceError):
        return error
    log.error("call_failed", method=what, trace_id=trace_id, exc_info=error)
    return Internal(f"a fault of the server; its log has the rest under {trace_id}")


def status_of(error: ServiceError) -> status_pb2.Status:
    """Return the error in the form of google.rpc, with its fields and when to call again."""
    details: list[Message] = []
    if error.violations:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=v.field, description=v.message
                    )
                    for v in error.violations
                ]
            )
        )
    if isinstance(error, ResourceExhausted):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after * 1000))
        details.append(retry)
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    return status_pb2.Status(
        code=code_pb2.Code.Value(error.code.name), message=error.message, details=packed
    )
