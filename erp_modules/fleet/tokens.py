"""One-time tokens: their form, their hash, and whom they are for; pure."""

from __future__ import annotations

import hashlib
import re

PREFIX = "hre"


def hash_of(token: str) -> str:
    """Return what is kept of a token. A plain hash will do: a token has 160 bits of chance."""
    return hashlib.sha256(token.encode()).hexdigest()


def fits(pattern: str, edge_node: str) -> bool:
    """Say whether a token for `pattern` lets `edge_node` in; `*` stands for any characters.

    >>> fits("press-*", "press-07"), fits("press-*", "pump-1"), fits("a.c", "abc")
    (True, False, False)
    """
    words = ".*".join(re.escape(word) for word in pattern.split("*"))
    return re.fullmatch(words, edge_node) is not None
