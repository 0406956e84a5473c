"""Ask devices what they offer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from edge_agent import drivers
from edge_agent.drivers import OptionsError
from edge_agent.drivers.base import Point
from edge_agent.settings import DriverTable

# A device that has not told everything after this long is not worth waiting for.
TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Found:
    """What the devices of one driver offer, or why they could not be asked."""

    kind: str
    points: Sequence[Point] = ()
    error: str = ""

    def document(self, number: int) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "driver": number,
            "kind": self.kind,
            "error": self.error or None,
            "points": [asdict(point) for point in self.points],
        }


async def browse(tables: Sequence[DriverTable], timeout_s: float = TIMEOUT_S) -> list[Found]:
    """Ask the devices of every driver at once.

    Raises:
        OptionsError: a driver's options are wrong.
    """
    asked = [(table.kind, drivers.options_of(*table.chosen)) for table in tables]
    return await asyncio.gather(*(_ask(kind, options, timeout_s) for kind, options in asked))


async def _ask(kind: str, options: Any, timeout_s: float) -> Found:
    try:
        async with asyncio.timeout(timeout_s):
            return Found(kind, await drivers.kind(kind).browse(options))
    except NotImplementedError:
        return Found(kind, error="its devices cannot be asked")
    except TimeoutError:
        return Found(kind, error=f"no answer within {timeout_s:g} s")
    except (OSError, ValueError, RuntimeError, OptionsError) as error:
        return Found(kind, error=f"{type(error).__name__}: {error}")
