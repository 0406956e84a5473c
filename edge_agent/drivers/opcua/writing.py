"""Values on their way to a server's variable: in its type, within its range."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Final

from asyncua import ua

from edge_agent.drivers.opcua.browsing import built_in, range_of
from edge_agent.drivers.opcua.library import AttributeIds
from edge_agent.drivers.opcua.session import Session

_WHOLE: Final[Mapping[str, tuple[int, int]]] = {
    "SByte": (-(2**7), 2**7 - 1),
    "Byte": (0, 2**8 - 1),
    "Int16": (-(2**15), 2**15 - 1),
    "UInt16": (0, 2**16 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "UInt32": (0, 2**32 - 1),
    "Int64": (-(2**63), 2**63 - 1),
    "UInt64": (0, 2**64 - 1),
}
# The largest finite single-precision number, IEEE 754.
_MOST_FLOAT: Final = float.fromhex("0x1.fffffep+127")


def coerce(value: float | bool | str, kind: str) -> float | int | bool | str:
    """Return `value` as a variable of the built-in type `kind` takes it.

    Raises:
        ValueError: it has no such value; nothing is rounded or cut off.
    """
    if kind == "String":
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is no text")
        return value
    if isinstance(value, str):
        raise ValueError(f"{value!r} is no number")
    if kind == "Boolean":
        if value not in (0, 1):
            raise ValueError(f"{value!r} is neither true nor false")
        return bool(value)
    if kind in ("Float", "Double"):
        number = float(value)
        if not isfinite(number) or (kind == "Float" and abs(number) > _MOST_FLOAT):
            raise ValueError(f"{value!r} is no finite {kind}")
        return number
    if kind not in _WHOLE:
        raise ValueError(f"the variable holds a {kind or 'thing of no known type'}")
    low, high = _WHOLE[kind]
    if value != value or value in (float("inf"), float("-inf")) or int(value) != value:
        raise ValueError(f"{value!r} is not whole, and the variable holds an {kind}")
    if not low <= int(value) <= high:
        raise ValueError(f"{value!r} is not {low} to {high}, as the variable's {kind} is")
    return int(value)


def check_range(
    value: float | int | bool | str, low: float | None, high: float | None, unit: str
) -> None:
    """Raise `ValueError` when a number is outside the variable's range."""
    if isinstance(value, bool | str) or low is None or high is None:
        return
    if not low <= value <= high:
        raise ValueError(f"{value:g} is not {low:g} to {high:g} {unit}".rstrip())


async def variant_of(
    session: Session, node: ua.NodeId, value: float | bool | str, unit: str
) -> ua.Variant:
    """Return a value as the server's variable takes it.

    Raises:
        ValueError: it does not fit the variable's type or range.
    """
    (held,) = await session.read([node], AttributeIds.Value)
    if held.Value is not None and held.Value.Value is not None:
        kind = held.Value.VariantType.name
    else:
        (data_type,) = await session.read([node], AttributeIds.DataType)
        kind = built_in(data_type.Value.Value if data_type.Value else None)
    coerced = coerce(value, kind)
    check_range(coerced, *await range_of(session, node), unit)
    return ua.Variant(coerced, ua.VariantType[kind])
