"""The plant as devices that publish plain JSON, as Zigbee2MQTT's do.

Each machine is a client of its own:

| topic | payload |
|---|---|
| `{base}/{tag}` | `{"time": 1767592800000, "sequence": 7, "discharge_pressure": 5.1, …}` |
| `{base}/{tag}/waveform` | `{"time": …, "sample_rate": 3200.0, "channels": [{"name": "…", …}]}` |
| `{base}/{tag}/availability` | `online` or, as its last will, `offline`; retained |
| `{base}/{tag}/set` | what it takes: `{"rate_setpoint": 80}` |

A sensor that says nothing is null. The samples of a waveform's channel are in `samples`.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, Final

import aiomqtt
import structlog

from edge_agent.cancellation import end
from edge_agent.drivers.base import Channel
from firmware_sim.servers.base import RATE_SETPOINT, LivePlant, Now

log = structlog.get_logger(__name__)

BASE: Final = "plant"
_AGAIN_S: Final = 0.5
_END_AGAIN_S: Final = 2.0


def key_of(name: str) -> str:
    """Return what a channel or set-point is called in JSON."""
    return name.lower().replace(" ", "_")


def values_payload(now: Now) -> bytes:
    """Return the flat JSON of what a machine said last."""
    said: dict[str, Any] = {"time": now.time_ms, "sequence": now.sequence}
    for name, value in now.slow.items():
        said[key_of(name)] = None if math.isnan(value) else round(value, 6)
    return json.dumps(said).encode()


def waveform_payload(now: Now, channel: Channel) -> bytes:
    """Return the JSON of a machine's waveform."""
    samples = [
        round(float(x), 4) if math.isfinite(x) else None for x in now.waveforms[channel.name]
    ]
    said = {
        "time": now.block.start_time_ms,
        "sequence": now.sequence,
        "sample_rate": channel.sample_rate_hz,
        "channels": [{"name": key_of(channel.name), "samples": samples}],
    }
    return json.dumps(said).encode()


class JsonMachine:
    """One machine as a client of the broker; what it says while the broker is away is gone."""

    def __init__(self, plant: LivePlant, tag: str, base: str) -> None:
        self._plant, self.tag, self._topic = plant, tag, f"{base}/{tag}"
        self._client: aiomqtt.Client | None = None
        self.connected = asyncio.Event()

    async def run(self, **broker: Any) -> None:
        """Connect, take commands, and connect again, until cancelled."""
        availability = f"{self._topic}/availability"
        while True:
            will = aiomqtt.Will(availability, b"offline", qos=1, retain=True)
            try:
                async with aiomqtt.Client(will=will, **broker) as client:
                    await client.subscribe(f"{self._topic}/set", qos=1)
                    await client.publish(availability, b"online", qos=1, retain=True)
                    self._client = client
                    self.connected.set()
                    async for message in client.messages:
                        self._obey(message.payload)
            except aiomqtt.MqttError as error:
                log.info("broker away", machine=self.tag, reason=str(error))
            finally:
                self._client = None
                self.connected.clear()
            await asyncio.sleep(_AGAIN_S)

    async def say(self, now: Now) -> None:
        """Publish what the machine says now."""
        client = self._client
        if client is None:
            return
        try:
            await client.publish(self._topic, values_payload(now), qos=1)
            for channel in now.device.channels:
                if channel.name in now.waveforms:
                    payload = waveform_payload(now, channel)
                    await client.publish(f"{self._topic}/waveform", payload, qos=1)
        except aiomqtt.MqttError as error:
            log.info("not published", machine=self.tag, reason=str(error))

    def _obey(self, payload: Any) -> None:
        try:
            given = json.loads(payload)
            self._plant.write(self.tag, RATE_SETPOINT, float(given[key_of(RATE_SETPOINT)]))
        except (ValueError, TypeError, KeyError) as error:
            log.info("command refused", machine=self.tag, reason=str(error))


async def serve(
    plant: LivePlant,
    host: str,
    port: int,
    base: str = BASE,
    user: str = "",
    password: str = "",
) -> None:
    """Let the machines speak to a broker until cancelled or until the plant ends.

    Options: `base` is what topics begin with; `user` and `password` are for the broker.
    """
    machines = {tag: JsonMachine(plant, tag, base) for tag in plant.devices}
    broker = {
        "hostname": host,
        "port": port,
        "username": user or None,
        "password": password or None,
    }
    tasks = [asyncio.create_task(machine.run(**broker)) for machine in machines.values()]

    async def say(now: Now) -> None:
        await machines[now.device.tag].say(now)

    plant.listen(say)
    log.info("speaking", protocol="mqtt", place=f"{host}:{port}", machines=len(machines))
    try:
        await plant.run()
    finally:
        await end(*tasks, again_s=_END_AGAIN_S)
