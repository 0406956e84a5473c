"""Between HTTP and the contracts, for every binding of every module."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

import erp_modules.kernel
from erp_modules.kernel.application import methods_of
from erp_modules.kernel.bootstrap import discover
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.transcoding import Binding, bindings
from erp_modules.maintenance.v1 import maintenance_pb2 as pb

ALL = [
    binding
    for manifest in discover()
    for service in manifest.services
    for method in methods_of(service)
    for binding in bindings(method)
]


def binding_of(rpc: str) -> Binding:
    return next(b for b in ALL if b.method.descriptor.name == rpc)


@pytest.mark.parametrize("binding", ALL, ids=lambda b: f"{b.verb} {b.path}")
def test_a_path_becomes_the_field_it_stands_for(binding: Binding) -> None:
    count = binding.path.count("{p")
    segments = [f"id-{index}" for index in range(count)]
    message: Any = binding.request(segments, [], b"{}" if binding.body else b"")
    for field, pieces in binding.variables.items():
        value = message
        for name in field.split("."):
            value = getattr(value, name)
        assert value == "".join(p if isinstance(p, str) else segments[p] for p in pieces)
        assert value.rsplit("/", 1)[-1] in segments


tickets = st.builds(
    pb.ListTicketsRequest,
    page_size=st.integers(-(2**31), 2**31 - 1),
    page_token=st.text(),
    site=st.text(),
    states=st.lists(st.sampled_from(pb.TicketState.values())),
    equipment=st.text(),
)


@given(tickets)
def test_a_query_says_what_the_message_says(request: pb.ListTicketsRequest) -> None:
    query = [
        (key, str(item))
        for key, value in MessageToDict(request).items()
        for item in (value if isinstance(value, list) else [value])
    ]
    assert binding_of("ListTickets").request([], query, b"") == request


def test_a_body_may_be_a_field_with_the_rest_in_the_query() -> None:
    message = binding_of("UpdateTicket").request(
        ["t1"],
        [("updateMask", "title,suggestedSteps")],
        b'{"title": "a", "suggestedSteps": ["b"], "scheduledStartTime": "2026-01-01T00:00:00Z"}',
    )
    assert isinstance(message, pb.UpdateTicketRequest)
    assert message.ticket.name == "tickets/t1"
    assert list(message.update_mask.paths) == ["title", "suggested_steps"]
    assert message.ticket.scheduled_start_time.seconds == 1767225600


def test_the_path_wins_over_the_body() -> None:
    message: Any = binding_of("StartTicket").request(["t1"], [], b'{"name": "tickets/other"}')
    assert message.name == "tickets/t1"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (
            b'{"advisory": {"evidence": {"features": [{}, {"valeu": 1}]}}}',
            "advisory.evidence.features[1].valeu",
        ),
        (
            b'{"advisory": {"evidence": {"features": [{}, {"value": "x"}]}}}',
            "advisory.evidence.features[1].value",
        ),
        (b'{"advisory": {"severity": "BAD"}}', "advisory.severity"),
        (b'{"advisory": {"sentTime": 5}}', "advisory.sentTime"),
        (b'{"advisory": 5}', "advisory"),
        (b'{"advisroy": {}}', "advisroy"),
    ],
)
def test_the_path_to_what_is_wrong_is_named(body: bytes, field: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        binding_of("ReportAdvisory").request([], [], body)
    assert [v.field for v in error.value.violations] == [field]


@given(st.binary())
def test_whatever_comes_is_a_request_or_names_a_field(body: bytes) -> None:
    try:
        message = binding_of("ReportAdvisory").request([], [], body)
    except InvalidArgument as refused:
        fields = [violation.field for violation in refused.violations]
    else:
        fields = [type(message).__name__]
    assert all(fields)
    assert len(fields) == 1


@pytest.mark.parametrize(
    "name", [m.name for m in pkgutil.iter_modules(erp_modules.kernel.__path__)]
)
def test_the_examples_in_the_kernel_run(name: str) -> None:
    module = importlib.import_module(f"erp_modules.kernel.{name}")
    assert doctest.testmod(module).failed == 0
