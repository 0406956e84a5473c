"""Every rule of a module, on every module there is."""

from __future__ import annotations

import pytest

from erp_modules.kernel.checks import Check, checks


@pytest.mark.parametrize("check", list(checks()), ids=str)
def test_every_module_keeps_every_rule(check: Check) -> None:
    check.run()
