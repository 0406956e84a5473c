"""The gRPC door, over a real connection."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from erp_modules.kernel import rpc
from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Authenticator
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb
from erp_modules.supply_chain.v1 import supply_chain_pb2_grpc

ADA = (("authorization", "Bearer ada"),)


@pytest.fixture
async def vendors(
    app: Application, authenticator: Authenticator
) -> AsyncIterator[supply_chain_pb2_grpc.VendorServiceStub]:
    server = grpc.aio.server()
    rpc.add_services(server, app, authenticator)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield supply_chain_pb2_grpc.VendorServiceStub(channel)
    await server.stop(None)


async def test_create_and_get(vendors: supply_chain_pb2_grpc.VendorServiceStub) -> None:
    request = pb.CreateVendorRequest(vendor=pb.Vendor(display_name="Acme", site="north"))
    made = await vendors.CreateVendor(request, metadata=ADA)
    assert await vendors.GetVendor(pb.GetVendorRequest(name=made.name), metadata=ADA) == made


async def test_an_error_has_its_code_and_its_fields(
    vendors: supply_chain_pb2_grpc.VendorServiceStub,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await vendors.CreateVendor(pb.CreateVendorRequest(), metadata=ADA)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    trailers = dict(caught.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad)
    assert [v.field for v in bad.field_violations] == ["vendor.display_name", "vendor.site"]


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", "Bearer olga"),), grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_who_may_not_does_not(
    vendors: supply_chain_pb2_grpc.VendorServiceStub,
    metadata: tuple[tuple[str, str], ...],
    code: grpc.StatusCode,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await vendors.CreateVendor(pb.CreateVendorRequest(), metadata=metadata)
    assert caught.value.code() == code


async def test_what_is_not_there_is_not_found(
    vendors: supply_chain_pb2_grpc.VendorServiceStub,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await vendors.GetVendor(pb.GetVendorRequest(name="vendors/none"), metadata=ADA)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert "vendors/none" in (caught.value.details() or "")
