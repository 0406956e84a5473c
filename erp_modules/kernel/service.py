"""The base of a service: one method per RPC, `(ctx, request) -> response`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from erp_modules.kernel.context import Context
from erp_modules.kernel.policies import ContractError, policy_of

Call = Callable[[Context, Message], Message]


def method_name(rpc: str) -> str:
    """Return the Python name of an RPC.

    >>> method_name("ListTicketComments")
    'list_ticket_comments'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", rpc).lower()


class Service:
    """Implements the RPCs of `contract`; stateless, its arguments come from the composition root.

    A subclass names its contract and has a method for every RPC, in snake case. A missing method
    or an RPC without a scope fails when the class is defined.
    """

    contract: ClassVar[ServiceDescriptor]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not hasattr(cls, "contract"):
            raise ContractError(f"{cls.__name__} names no contract")
        for rpc in cls.contract.methods:
            policy_of(rpc)
            if not callable(getattr(cls, method_name(rpc.name), None)):
                raise ContractError(f"{cls.__name__} has no method {method_name(rpc.name)}")
