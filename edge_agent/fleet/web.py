"""The door of the status page: read only, no cookies, nothing to change."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final
from urllib.parse import urlsplit

import structlog

log = structlog.get_logger(__name__)

# The agent's own loop answers within this, or is not well.
ANSWER_S: Final = 5.0
REQUEST_S: Final = 10.0
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
}


class StatusServer:
    """Serves `/`, `/status.json`, `/metrics` and `/healthz` from a thread of its own.

    The document is made on the agent's loop, so that what is served is of one moment, and so that
    `/healthz` fails when the loop no longer turns.
    """

    def __init__(
        self,
        host: str,
        port: int,
        with_metrics: bool,
        document: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Bind the address.

        Raises:
            OSError: it is taken.
        """
        self._host, self._document, self.with_metrics = host, document, with_metrics
        self._loop = asyncio.get_running_loop()
        server = _Server6 if ":" in host else _Server
        self._server = server((host, port), partial(_Handler, self))
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="status", daemon=True
        )
        self._thread.start()
        shown = f"[{host}]" if ":" in host else host
        log.info("status page", url=f"http://{shown}:{self.port}/")

    def document(self) -> Mapping[str, Any]:
        """Return the document, made on the agent's loop.

        Raises:
            TimeoutError: the loop does not turn.
        """

        async def make() -> Mapping[str, Any]:
            return self._document()

        future = asyncio.run_coroutine_threadsafe(make(), self._loop)
        return future.result(ANSWER_S)

    def is_named(self, host: str) -> bool:
        """Say whether a request's `Host` names this machine, when only it can ask."""
        if self._host not in LOOPBACK:
            return True
        try:
            return urlsplit(f"//{host}").hostname in LOOPBACK
        except ValueError:
            return False

    def close(self) -> None:
        """Stop serving."""
        # What waits for the loop cannot be waited for from the loop.
        threading.Thread(target=self._server.shutdown, daemon=True).start()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        """Bind the address without asking a name server who this is, which may take long."""
        TCPServer.server_bind(self)
        host, self.server_port = self.socket.getsockname()[:2]
        self.server_name = str(host)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say it in the log, where everything else is: a browser that left, mostly."""
        log.debug("status page", reason=str(sys.exception()), client=str(client_address))


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "headrace-edge", ""
    timeout = REQUEST_S

    def __init__(self, status: StatusServer, *given: Any) -> None:
        self._status = status
        super().__init__(*given)

    def do_GET(self) -> None:
        """Answer one request."""
        if not self._status.is_named(self.headers.get("Host", "")):
            # A page from elsewhere whose name was pointed at this machine.
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", b"not this machine\n")
            return
        try:
            document = self._status.document()
        except (TimeoutError, RuntimeError):
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b"the agent is stuck\n")
            return
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._answer(HTTPStatus.OK, "text/plain", b"ok\n")
        elif path == "/status.json":
            body = json.dumps(document, indent=1).encode()
            self._answer(HTTPStatus.OK, "application/json", body)
        elif path == "/":
            # What only some ask for is loaded when somebody does.
            from edge_agent.fleet import page

            body = page.render(document).encode()
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", body)
        elif path == "/metrics" and self._status.with_metrics:
            from edge_agent.fleet import metrics

            self._answer(HTTPStatus.OK, metrics.CONTENT_TYPE, metrics.exposition(document))
        else:
            self._answer(
                HTTPStatus.NOT_FOUND,
                "text/plain",
                b"there is /, /status.json, /metrics and /healthz\n",
            )

    def do_HEAD(self) -> None:
        """Answer with the headers only."""
        self.do_GET()

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Leave the log to the agent."""
