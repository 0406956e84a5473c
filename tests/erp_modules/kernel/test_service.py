"""What fails at import, before anybody calls."""

from __future__ import annotations

from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor

from erp_modules.kernel.policies import ContractError
from erp_modules.kernel.service import Service
from erp_modules.kernel.v1 import policy_pb2
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb


def contract(scope: str) -> ServiceDescriptor:
    """Return a service with one RPC of `scope`."""
    file = descriptor_pb2.FileDescriptorProto(name="trial.proto", package="trial", syntax="proto3")
    file.dependency.extend(
        [policy_pb2.DESCRIPTOR.name, annotations_pb2.DESCRIPTOR.name, pb.DESCRIPTOR.name]
    )
    method = file.service.add(name="TrialService").method.add(
        name="GetTrial",
        input_type=".erp_modules.supply_chain.v1.GetVendorRequest",
        output_type=".erp_modules.supply_chain.v1.Vendor",
    )
    if scope:
        method.options.Extensions[policy_pb2.policy].scope = scope
    pool = descriptor_pool.DescriptorPool()

    def add(name: str) -> None:
        known: Any = descriptor_pool.Default().FindFileByName(name)
        for dependency in known.dependencies:
            add(dependency.name)
        copy = descriptor_pb2.FileDescriptorProto()
        known.CopyToProto(copy)
        pool.Add(copy)

    for name in file.dependency:
        add(name)
    pool.Add(file)
    found: ServiceDescriptor = pool.FindServiceByName("trial.TrialService")
    return found


@pytest.mark.parametrize("scope", ["", "trial", "trial.read", "Trial.thing.read", "a.b.c.d"])
def test_an_rpc_without_a_scope_fails_at_import(scope: str) -> None:
    with pytest.raises(ContractError, match=r"trial\.TrialService\.GetTrial: scope"):
        type("Trial", (Service,), {"contract": contract(scope), "get_trial": lambda *_: None})


def test_a_missing_method_fails_at_import() -> None:
    with pytest.raises(ContractError, match="has no method get_trial"):
        type("Trial", (Service,), {"contract": contract("trial.thing.read")})


def test_a_service_without_a_contract_fails_at_import() -> None:
    with pytest.raises(ContractError, match="names no contract"):
        type("Trial", (Service,), {})
