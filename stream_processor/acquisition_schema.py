"""The version of acquisition's state, and how those of before are brought to it."""

from __future__ import annotations

from typing import Any

from stream_processor.schema import Schema, State


def _with_losses(state: State) -> State:
    """Nothing was said to be lost; neither the sequence nor deaths were watched."""
    return {
        "order": (None, [], None),
        **state,
        "births": {"away": (None, None, {}), **state["births"]},
        "sequences": {
            epoch: (watermark, highest, held, [])
            for epoch, (watermark, highest, held, *_) in state["sequences"].items()
        },
    }


def _with_earlier_boots(state: State) -> State:
    """Nothing was told of what earlier boots still have."""
    sequences = {epoch: (*sequence, 0) for epoch, sequence in state["sequences"].items()}
    return {**state, "sequences": sequences}


def _with_event_time(state: State) -> State:
    """Of each device, boot epoch and last event time were known; nothing waited, nor was replayed.

    Timelines are as `Timeline.state` writes them.
    """
    rest = {key: value for key, value in state.items() if key != "last_times"}
    devices: dict[str, Any] = {
        name: ((epoch, last_ms, last_ms, last_ms, None, 0.0), [])
        for name, (epoch, last_ms) in state["last_times"].items()
    }
    return {**rest, "devices": devices, "replays": []}


# 2: what an edge node said is lost. 3: what it said is still to come of earlier boots. 4: the event
# time of each device, and what waits for its place in it.
SCHEMA = Schema("acquisition", 4, {1: _with_losses, 2: _with_earlier_boots, 3: _with_event_time})
