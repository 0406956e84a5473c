"""Chance that depends on its address only, not on what was drawn before."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numpy.random import Generator, Philox, SeedSequence


@dataclass(frozen=True)
class Chance:
    """A family of generators keyed by a seed and a name.

    Philox is counter-based (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): the
    generator of one stream and index is made without those before it.
    """

    seed: int
    name: str
    _key: npt.NDArray[np.uint64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        digest = hashlib.blake2b(self.name.encode(), digest_size=8).digest()
        sequence = SeedSequence([self.seed, int.from_bytes(digest, "little")])
        object.__setattr__(self, "_key", sequence.generate_state(2, np.uint64))

    def at(self, stream: int, index: int = 0) -> Generator:
        """Return the generator of `stream` (0 or more) at `index` (0 or more)."""
        counter = np.array([0, 0, stream, index], dtype=np.uint64)
        return Generator(Philox(key=self._key, counter=counter))
