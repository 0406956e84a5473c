from __future__ import annotations

import pytest

from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.identifiers import check_codes, check_identifiers, check_lengths
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb


def test_every_wrong_field_is_named() -> None:
    with pytest.raises(InvalidArgument) as error:
        check_identifiers(
            pb.Bin(site="a/b", code="A 1", display_name="fine"),
            "site",
            "code",
            "display_name",
            prefix="bin.",
        )
    assert [v.field for v in error.value.violations] == ["bin.site", "bin.code"]


@pytest.mark.parametrize("text", ["", "a/b", "a b", "a+b", "a#b", "a.b", "a*", ">", "x" * 61])
def test_what_no_topic_can_hold(text: str) -> None:
    with pytest.raises(InvalidArgument):
        check_identifiers(pb.Bin(site=text), "site", prefix="")


def test_a_code_of_the_trade_may_hold_more() -> None:
    check_codes(pb.Part(part_number="6205.2RS+C3#1"), "part_number", prefix="part.")
    for text in ("", "6205/C3", "6205 C3", "x" * 61):
        with pytest.raises(InvalidArgument):
            check_codes(pb.Part(part_number=text), "part_number", prefix="part.")


def test_lengths() -> None:
    check_lengths(pb.Part(unit="x" * 32), prefix="part.", unit=32)
    with pytest.raises(InvalidArgument, match=r"part\.unit: is longer than 32"):
        check_lengths(pb.Part(unit="x" * 33), prefix="part.", unit=32)
