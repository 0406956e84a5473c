"""Every RPC says who may call it and how it is reached over HTTP."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from erp_modules.kernel.v1 import policy_pb2

PROTO = Path(__file__).parents[2] / "proto"


def methods() -> list[MethodDescriptor]:
    found = []
    for path in sorted(PROTO.rglob("*.proto")):
        name = ".".join(path.relative_to(PROTO).with_suffix("").parts) + "_pb2"
        for service in importlib.import_module(name).DESCRIPTOR.services_by_name.values():
            found += list(service.methods)
    return found


def binding(method: MethodDescriptor) -> tuple[str, str]:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return (verb or "", getattr(rule, verb) if verb else "")


@pytest.mark.parametrize("method", methods(), ids=lambda m: m.full_name)
def test_an_rpc_has_scope_and_binding(method: MethodDescriptor) -> None:
    scope = method.GetOptions().Extensions[policy_pb2.policy].scope
    assert scope == "public" or len(scope.split(".")) == 3, scope
    verb, path = binding(method)
    assert verb in {"get", "post", "patch", "delete"}
    assert path.startswith("/v1/")


def test_no_two_rpcs_share_a_path() -> None:
    import re

    seen = Counter((v, re.sub(r"\{[^=}]+=?", "{", p)) for v, p in map(binding, methods()))
    assert [b for b, n in seen.items() if n > 1] == []
