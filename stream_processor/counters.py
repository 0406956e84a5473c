"""What the processor has counted, for the log, for Prometheus and for the demo."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEAD_LETTERS = "dead_letters."
_ALWAYS = (
    "received", "processed", "duplicated", "lost", "gaps", "resends", "rebirths", "frames",
    "births", "deaths", "overflowed", "missing_samples", "infinite_samples", "advisories", "points",
)  # fmt: skip


class Counters:
    """Counts of every part of the flow, summed when read.

    Each part keeps its counts in its own state, so that they are rolled back and recovered with it
    and stay right over a crash; here is only what each said last.
    """

    def __init__(self) -> None:
        self._parts: dict[str, Mapping[str, int]] = {}
        self._positions: dict[int, int] = {}
        self._lock = threading.Lock()

    def put(self, part: str, counts: Mapping[str, int]) -> None:
        """Replace the counts of `part`, the name of a step and its key."""
        with self._lock:
            self._parts[part] = dict(counts)

    def position(self, partition: int, sequence: int) -> None:
        """Note how far a partition of the log was read."""
        with self._lock:
            self._positions[partition] = sequence

    def totals(self) -> dict[str, Any]:
        """Return the sums; `dead_letters` by reason, `position` by partition.

        `processed` has the batches that left acquisition and failed in no stage.
        """
        total: Counter[str] = Counter()
        with self._lock:
            for counts in self._parts.values():
                total.update(counts)
            positions = {str(p): s for p, s in sorted(self._positions.items())}
        dead = {
            name.removeprefix(DEAD_LETTERS): count
            for name, count in sorted(total.items())
            if name.startswith(DEAD_LETTERS)
        }
        totals: dict[str, Any] = {name: total[name] for name in _ALWAYS}
        totals["processed"] -= dead.get("STAGE_FAILED", 0)
        return {**totals, "dead_letters": dead, "position": positions}

    def exposition(self) -> str:
        """Return the counters in Prometheus' text format."""
        lines = []
        for name, value in self.totals().items():
            label = {"dead_letters": "reason", "position": "partition"}.get(name)
            metric = f"headrace_stream_processor_{name}" + ("" if name == "position" else "_total")
            lines.append(f"# TYPE {metric} {'gauge' if name == 'position' else 'counter'}")
            if label is None:
                lines.append(f"{metric} {value}")
            else:
                lines += [f'{metric}{{{label}="{key}"}} {count}' for key, count in value.items()]
        return "\n".join(lines) + "\n"


def serve(counters: Counters, host: str, port: int) -> ThreadingHTTPServer:
    """Serve `/counters` as JSON and `/metrics` for Prometheus from a thread.

    Raises:
        OSError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/counters":
                kind, body = "application/json", json.dumps(counters.totals())
            elif self.path == "/metrics":
                kind, body = "text/plain; version=0.0.4", counters.exposition()
            else:
                self.send_error(404)
                return
            data = body.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a scrape every second is no news."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="counters", daemon=True).start()
    return server
