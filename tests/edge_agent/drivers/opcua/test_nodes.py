"""Addresses of nodes: read, written, and what they mean after a server numbered otherwise."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.drivers.opcua.nodes import BrowsePath, NodeAddress, parse

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1)
IDENTIFIERS = st.one_of(
    st.tuples(st.just("i"), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("s"), TEXT),
    st.tuples(st.just("g"), st.uuids()),
    st.tuples(st.just("b"), st.binary()),
)
SPACES = st.one_of(
    st.fixed_dictionaries({"uri": TEXT}),
    st.fixed_dictionaries({"index": st.integers(1, 0xFFFF)}),
    st.just({}),
)


@given(IDENTIFIERS, SPACES)
def test_an_address_reads_as_it_is_written(identifier, space) -> None:  # type: ignore[no-untyped-def]
    address = NodeAddress(*identifier, **space)

    assert parse(str(address)) == address


@given(st.lists(TEXT, min_size=1))
def test_a_path_reads_as_it_is_written(names: list[str]) -> None:
    assert parse(str(BrowsePath(tuple(names)))) == BrowsePath(tuple(names))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("nsu=http://a.b/c;s=P-101.Flow", NodeAddress("s", "P-101.Flow", "http://a.b/c")),
        ("nsu=urn:a%3Bb%25;s=x;s=y", NodeAddress("s", "x;s=y", "urn:a;b%")),
        ("nsu=urn:a;i=7", NodeAddress("i", 7, "urn:a")),
        (
            "nsu=urn:a;g=09087e75-8e5e-499b-954f-f2a9603db28a",
            NodeAddress("g", UUID("09087e75-8e5e-499b-954f-f2a9603db28a"), "urn:a"),
        ),
        ("nsu=urn:a;b=AAEC", NodeAddress("b", b"\0\1\2", "urn:a")),
        ("ns=3;s=Flow", NodeAddress("s", "Flow", None, 3)),
        ("i=2258", NodeAddress("i", 2258)),
        ("/Machines/P-101/A&/B", BrowsePath(("Machines", "P-101", "A/B"))),
    ],
)
def test_what_is_written_is_meant(text: str, address: NodeAddress | BrowsePath) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Flow", "is no node: write nsu="),
        ("", "is no node"),
        ("nsu=;s=a", "URI is empty"),
        ("nsu=urn:a;s=", "name is empty"),
        ("nsu=urn:a;i=x", "'x' is no number"),
        ("i=4294967296", "is no number from 0 to 4294967295"),
        ("ns=65536;i=1", "index ends at 65535"),
        ("nsu=urn:a;g=1", "no GUID"),
        ("nsu=urn:a;b=*", "not base64"),
        ("/", "a path is /Name/Name"),
        ("//a", "a path is /Name/Name"),
        ("/a&", "a path is /Name/Name"),
    ],
)
def test_what_is_no_address_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)


@given(st.permutations(["http://opcfoundation.org/UA/", "urn:own", "urn:a", "urn:b"]))
def test_a_uri_means_its_namespace_wherever_it_stands(array: list[str]) -> None:
    address = parse("nsu=urn:a;s=Flow")

    assert isinstance(address, NodeAddress)
    assert array[address.index_in(array)] == "urn:a"
    assert address.is_lasting


def test_a_namespace_that_is_not_there_is_named() -> None:
    address = parse("nsu=urn:gone;s=Flow")

    assert isinstance(address, NodeAddress)
    with pytest.raises(LookupError, match="no namespace urn:gone"):
        address.index_in(["http://opcfoundation.org/UA/"])


@pytest.mark.parametrize(
    ("text", "lasts"), [("ns=2;s=a", False), ("ns=0;i=1", True), ("i=1", True)]
)
def test_an_index_does_not_last(text: str, lasts: bool) -> None:
    address = parse(text)

    assert isinstance(address, NodeAddress)
    assert address.is_lasting is lasts
