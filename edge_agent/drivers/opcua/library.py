"""What the other files use of asyncua, by names that a type checker can follow.

asyncua re-exports its names without saying so, and its number types are subclasses of `int` that
its own code does not use.
"""

from __future__ import annotations

import ctypes
import logging
import struct
import sys
from typing import Any, Final

from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.crypto import uacrypto
from asyncua.ua import ua_binary, uatypes
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors._base import UaError, UaStatusCodeError
from cryptography import x509

__all__ = [
    "FAILURES",
    "AttributeIds",
    "Client",
    "ObjectIds",
    "StatusCodes",
    "UaClientState",
    "UaError",
    "UaStatusCodeError",
    "certificate_of",
    "give_memory_back",
    "node_id",
    "reason_of",
]

# What comes of a server that is away, refuses, or answers what cannot be read.
FAILURES: Final = (
    OSError,
    TimeoutError,
    UaError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    struct.error,
)

# It tells every broken connection with a stack; the driver says it once, in its own words.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)


_unpack_array: Final[Any] = ua_binary.unpack_uatype_array


def _unpack_some(vtype: uatypes.VariantType, data: Any) -> list[Any] | None:
    """Read an array, but of nothing: that costs its sender no bytes, and us gigabytes."""
    if vtype != uatypes.VariantType.Null:
        array: list[Any] | None = _unpack_array(vtype, data)
        return array
    length: int = ua_binary.Primitives.Int32.unpack(data)
    if length > 0:
        raise UaError(f"an array of {length} times nothing")
    return None


ua_binary.unpack_uatype_array = _unpack_some


def give_memory_back() -> None:
    """Give the system back what importing asyncua took for a moment: 40 MiB with glibc."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def reason_of(error: BaseException) -> str:
    """Return what went wrong, for people."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def node_id(
    identifier: Any, namespace: int = 0, kind: uatypes.NodeIdType | None = None
) -> uatypes.NodeId:
    """Return a node's id; a plain number is a node of the standard's own namespace."""
    given: tuple[Any, ...] = (identifier, namespace, kind)
    return uatypes.NodeId(*given)


def certificate_of(der: bytes | None) -> x509.Certificate | None:
    """Return the first certificate of a chain, None of nothing."""
    if not der:
        return None
    certificate: x509.Certificate = uacrypto.x509_from_der(der)  # type: ignore[no-untyped-call]
    return certificate
