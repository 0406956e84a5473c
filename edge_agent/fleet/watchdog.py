"""Tell systemd that the agent is up, and that it still turns (sd_notify(3))."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping


class Watchdog:
    """The service manager's socket; does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        self._address = env.get("NOTIFY_SOCKET", "")
        wanted = env.get("WATCHDOG_USEC", "")
        for_us = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.period_s = int(wanted) / 1e6 / 3 if wanted.isdigit() and for_us else None

    def tell(self, *states: str) -> None:
        """Send states such as `READY=1`; a manager that is gone is none of our business."""
        if not self._address:
            return
        # A name that begins with @ is one of Linux's abstract ones.
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto("\n".join(states).encode(), address)
            except OSError:
                return

    async def run(self) -> None:
        """Say that the loop turns, as often as the manager wants, until cancelled."""
        self.tell("READY=1")
        while self.period_s is not None:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self.period_s)
