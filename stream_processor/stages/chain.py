"""Stages one after another, as the flow has them, for what runs without its engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from stream_processor.stages import STAGES


class Chain:
    """The stages of one machine; `made` makes a stage of its name and class."""

    def __init__(
        self,
        stages: Iterable[tuple[str, type[Any]]] = STAGES,
        made: Callable[[str, type[Any]], Any] = lambda _, kind: kind(),
    ) -> None:
        self._stages = [made(name, kind) for name, kind in stages]

    def feed(self, item: Any) -> Any:
        """Take an item through the stages and return what the last one says."""
        for stage in self._stages:
            item = stage.update(item)
        return item

    def restart(self) -> None:
        """Go on from the stages' own state, as after a crash."""
        self._stages = [type(stage).restore(stage.state()) for stage in self._stages]
