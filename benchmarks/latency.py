"""From the sample to the ticket visible over gRPC, everything running on this machine.

The agent stamps a batch when it makes it; a client polls ListTickets over gRPC and notes when it
first sees a ticket. The delay is between the two, for the batch that decided.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import grpc
import numpy as np

from benchmarks.fleet import Fleet
from benchmarks.machine import describe
from erp_modules.maintenance.v1 import maintenance_pb2 as pb
from erp_modules.maintenance.v1 import maintenance_pb2_grpc
from headrace import gateway
from headrace.stack import Stack, running

SITE = "bench"


def watch(stack: Stack, token: str, expected: int, patience_s: float) -> dict[str, float]:
    """Poll until `expected` tickets were seen; return the delay in milliseconds of each."""
    delays: dict[str, float] = {}
    metadata = (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(stack.grpc_target) as channel:
        tickets = maintenance_pb2_grpc.TicketServiceStub(channel)
        last_news = time.monotonic()
        while len(delays) < expected and time.monotonic() - last_news < patience_s:
            answer = tickets.ListTickets(
                pb.ListTicketsRequest(page_size=50, site=SITE), metadata=metadata
            )
            seen = time.time()
            for ticket in answer.tickets:
                if ticket.name not in delays:
                    sent = ticket.causing_sent_time.ToNanoseconds() / 1e9
                    delays[ticket.name] = (seen - sent) * 1000
                    last_news = time.monotonic()
            time.sleep(0.01)
    return delays


def run(machines: int, warm_up: int, rate_hz: float) -> None:
    """Run the benchmark and print its figures."""
    options = {"machines": machines, "warm_up": warm_up, "rate_hz": rate_hz, "rounds_apart": 1}
    fleet = Fleet(**options)
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder, running(Path(folder)) as stack:
        configuration = gateway.write(
            Path(folder) / "gateway.toml",
            SITE,
            "bench-1",
            "plugin",
            options,
            factory="benchmarks.fleet:create",
        )
        agent = stack.start_agent(configuration, until_drained=True)
        token = stack.supervisor.environment["HEADRACE_API_TOKEN"]
        delays = watch(stack, token, machines, patience_s=180)
        agent.stop()
    print(f"sample to ticket over gRPC: {describe()}")
    print(
        f"  {rate_hz:g} blocks/s offered, {machines} machines stepped, {len(delays)} tickets seen, "
        f"{fleet.machines * fleet.warm_up} blocks before"
    )
    if delays:
        values = np.array(list(delays.values()))
        median, p99, worst = np.quantile(values, (0.5, 0.99, 1.0))
        print(f"  median {median:.0f} ms, p99 {p99:.0f} ms, worst {worst:.0f} ms")
        print(f"  against the aims: median/250 ms = {median / 250:.2f}, p99/1 s = {p99 / 1000:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=60)
    parser.add_argument("--warm-up", type=int, default=240)
    parser.add_argument("--rate", type=float, default=50.0)
    given = parser.parse_args()
    run(given.machines, given.warm_up, given.rate)
