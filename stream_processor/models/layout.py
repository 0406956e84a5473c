"""Arrays that are views of one memory, so that a state is written and read at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import accumulate

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Layout:
    """Where in a memory of `size` numbers each array of a shape is, in the order given.

    >>> layout = Layout({"mean": (2,), "moments": (2, 2)})
    >>> memory = np.arange(6.0)
    >>> [(name, array.tolist()) for name, array in layout.views(memory)]
    [('mean', [0.0, 1.0]), ('moments', [[2.0, 3.0], [4.0, 5.0]])]
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        ends = list(accumulate(math.prod(shape) for shape in shapes.values()))
        self.size = ends[-1]
        self._places = [
            (name, slice(begin, end), shape)
            for (name, shape), begin, end in zip(shapes.items(), [0, *ends], ends, strict=False)
        ]

    def views(self, memory: Array) -> Iterator[tuple[str, Array]]:
        """Yield each array by its name; what is written to it is written to `memory` (size,)."""
        for name, place, shape in self._places:
            yield name, memory[place].reshape(shape)
