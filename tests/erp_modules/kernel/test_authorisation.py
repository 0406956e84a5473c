"""Who may do what, how often."""

from __future__ import annotations

import pytest

from erp_modules.kernel.authorisation import Authorisation, Principal, Role, matches
from erp_modules.kernel.errors import PermissionDenied, ResourceExhausted
from erp_modules.kernel.rate import RateLimiter


@pytest.mark.parametrize(
    ("pattern", "scope", "covered"),
    [
        ("*", "a.b.read", True),
        ("a.*", "a.b.read", True),
        ("a.*", "ab.b.read", False),
        ("a.*.read", "a.b.read", True),
        ("a.*.read", "a.b.write", False),
        ("a.b.read", "a.b.read", True),
        ("a.b", "a.b.read", False),
        ("a.b.read.*", "a.b.read", False),
        ("", "a.b.read", False),
    ],
)
def test_a_star_is_one_segment_or_the_rest(pattern: str, scope: str, covered: bool) -> None:
    assert matches(pattern, scope) == covered


def test_roles_and_own_scopes_add_up() -> None:
    rules = Authorisation([{Role.OPERATOR: ["a.*.read"]}, {Role.OPERATOR: ["b.x.write"]}])
    olga = Principal("olga", roles=frozenset({Role.OPERATOR}), scopes=frozenset({"c.*"}))
    for scope in ("a.x.read", "b.x.write", "c.x.write", "public"):
        rules.require(olga, scope)
    with pytest.raises(PermissionDenied, match=r"a\.x\.write"):
        rules.require(olga, "a.x.write")
    assert rules.allows(Principal("ada", roles=frozenset({Role.ADMIN})), "any.thing.write")
    assert not rules.allows(Principal("nobody"), "a.x.read")


def test_a_bucket_refills_at_its_rate_and_is_each_callers_own() -> None:
    now = [0.0]
    limiter = RateLimiter(lambda: now[0])
    for _ in range(5):
        limiter.take("ada", "m", 5)
    with pytest.raises(ResourceExhausted) as error:
        limiter.take("ada", "m", 5)
    assert error.value.retry_after == pytest.approx(0.2)
    limiter.take("bo", "m", 5)
    limiter.take("ada", "other", 5)
    now[0] += 0.2
    limiter.take("ada", "m", 5)
    with pytest.raises(ResourceExhausted):
        limiter.take("ada", "m", 5)
    now[0] += 100
    for _ in range(5):
        limiter.take("ada", "m", 5)
    with pytest.raises(ResourceExhausted):
        limiter.take("ada", "m", 5)


def test_no_rate_is_no_limit() -> None:
    limiter = RateLimiter(lambda: 0.0)
    for _ in range(1000):
        limiter.take("ada", "m", 0)
