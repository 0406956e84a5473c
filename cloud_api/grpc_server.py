"""The gRPC side: the contracts' services, health checking and reflection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from erp_modules.kernel import rpc
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Authenticator
from erp_modules.kernel.errors import ServiceError

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
REFLECTION = "/grpc.reflection."
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class ReflectionGuard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Shows the contracts to who is signed in; the services themselves check every call."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Return the handler of a call, or for reflection by a stranger one that refuses."""
        if details.method.startswith(REFLECTION):
            headers = {
                name: value
                for name, value in details.invocation_metadata or ()
                if isinstance(value, str)
            }
            try:
                await self._authenticator.authenticate(headers)
            except ServiceError as error:
                return _refusing(error)
        return await continuation(details)


def _refusing(error: ServiceError) -> grpc.RpcMethodHandler:
    async def refuse(requests: Any, call: grpc.aio.ServicerContext[Any, Any]) -> None:
        await call.abort(error.code, error.message)

    return grpc.stream_stream_rpc_method_handler(refuse)


class GrpcServer:
    """Serves the application's services; healthy from `set_serving` on."""

    def __init__(self, application: Application, authenticator: Authenticator) -> None:
        self._names = [*application.services, ""]
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[ReflectionGuard(authenticator)],
            options=[
                # A second server on the same port is a mistake, not a way to share load.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ],
        )
        rpc.add_services(self._server, application, authenticator)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            [*application.services, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )
        self.running = False

    async def start(self, address: str) -> None:
        """Listen at `address`.

        Raises:
            RuntimeError: the port is taken.
        """
        await self.set_serving(False)
        self._server.add_insecure_port(address)
        await self._server.start()
        self.running = True

    async def set_serving(self, serving: bool) -> None:
        """Answer health checks with SERVING or NOT_SERVING."""
        for name in self._names:
            await self._health.set(name, SERVING if serving else NOT_SERVING)

    async def stop(self, grace: float) -> None:
        """Take no new calls and give those under way `grace` seconds."""
        self.running = False
        await self._server.stop(grace)
