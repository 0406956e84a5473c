"""The policy of an RPC: who may call it, and how often."""

from __future__ import annotations

import re
from dataclasses import dataclass

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message

from erp_modules.kernel.authorisation import PUBLIC
from erp_modules.kernel.v1 import policy_pb2

_SCOPE = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


class ContractError(TypeError):
    """A contract that cannot be served; found at import, never at a call."""


@dataclass(frozen=True)
class Policy:
    """Scope, whether calling twice is calling once, and calls a second and principal (0: any)."""

    scope: str
    idempotent: bool
    rate: int

    @property
    def reads(self) -> bool:
        """Whether the RPC changes nothing."""
        return self.scope.endswith(".read")


def policy_of(method: MethodDescriptor) -> Policy:
    """Return the policy of an RPC.

    Raises:
        ContractError: it has none, or a scope that is not `{module}.{resource}.{verb}`.
    """
    stated = method.GetOptions().Extensions[policy_pb2.policy]
    if stated.scope != PUBLIC and not _SCOPE.fullmatch(stated.scope):
        raise ContractError(
            f"{method.full_name}: scope {stated.scope!r}; give it "
            "option (erp_modules.kernel.v1.policy) with scope: module.resource.verb"
        )
    return Policy(stated.scope, stated.idempotent, stated.rate)


def http_rules(method: MethodDescriptor) -> list[http_pb2.HttpRule]:
    """Return the HTTP bindings of an RPC, the additional ones behind the first."""
    options = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return []
    rule = options.Extensions[annotations_pb2.http]
    return [rule, *rule.additional_bindings]


def descriptor_of(message: Message | type[Message]) -> Descriptor:
    """Return the descriptor of a message; the stubs know another class of the C implementation."""
    return message.DESCRIPTOR  # type: ignore[return-value]
