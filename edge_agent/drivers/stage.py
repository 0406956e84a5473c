"""A stage between a driver and the node: it takes a driver and is one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from edge_agent.drivers.base import Block, Device, Driver, Lost, WriteError, Writer


class DriverStage:
    """Passes everything on; a stage overrides what it is there for."""

    def __init__(self, inner: Driver) -> None:
        """Stand behind `inner`."""
        self.inner = inner

    def devices(self) -> Sequence[Device]:
        """Return the devices as this stage declares them."""
        return self.inner.devices()

    async def blocks(self) -> AsyncIterator[Block | Lost]:
        """Yield what comes out of this stage."""
        async for item in self.inner.blocks():
            yield item

    async def close(self) -> None:
        """Let go of what the driver holds."""
        await self.inner.close()

    def writable(self, device: str) -> Mapping[str, str]:
        """Return the names that a device takes values by, with their units."""
        return self.inner.writable(device) if isinstance(self.inner, Writer) else {}

    async def write(self, device: str, name: str, value: float | bool | str) -> None:
        """Write a value, already checked against the gateway's limits.

        Raises:
            WriteError: the device refused it, is away, or takes none.
        """
        if not isinstance(self.inner, Writer):
            raise WriteError(f"{device}: its driver writes nothing")
        await self.inner.write(device, name, value)
