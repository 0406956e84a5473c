"""The composition root of the modules: from a database URL to everything there is to call."""

from __future__ import annotations

import importlib
import pkgutil
import secrets
from collections.abc import Sequence

import erp_modules
from erp_modules.kernel.application import Application
from erp_modules.kernel.clock import Clock
from erp_modules.kernel.ids import Ids, RandomIds
from erp_modules.kernel.manifest import Manifest
from erp_modules.kernel.migrate import upgrade
from erp_modules.kernel.models import Secret
from erp_modules.kernel.paging import PageTokens
from erp_modules.kernel.scoping import Scope
from erp_modules.kernel.unit_of_work import Database, UnitOfWork

_PAGE_TOKENS = "page-tokens"


def module_names() -> list[str]:
    """Return the names of all modules: folders of `erp_modules` with a manifest, sorted."""
    return sorted(
        info.name
        for info in pkgutil.iter_modules(erp_modules.__path__)
        if info.ispkg
        and info.name != "kernel"
        and importlib.util.find_spec(f"erp_modules.{info.name}.manifest") is not None
    )


def discover() -> list[Manifest]:
    """Return the manifests of all modules, by name."""
    found = []
    for name in module_names():
        manifest = importlib.import_module(f"erp_modules.{name}.manifest").MANIFEST
        if not isinstance(manifest, Manifest) or manifest.name != name:
            raise TypeError(f"erp_modules/{name}/manifest.py: MANIFEST is no Manifest of {name!r}")
        found.append(manifest)
    return found


def bootstrap(
    database_url: str,
    *,
    manifests: Sequence[Manifest] | None = None,
    extra: Sequence[Manifest] = (),
    organisations: tuple[str, ...] = ("default",),
    clock: Clock | None = None,
    ids: Ids | None = None,
) -> Application:
    """Bring the database up to date and return the application.

    All discovered modules unless `manifests` says which; `extra` are a server's own services,
    served by the same doors.
    """
    database = Database(database_url, clock)
    upgrade(database.engine)
    found = [*(discover() if manifests is None else manifests), *extra]
    return compose(database, found, organisations=organisations, ids=ids)


def compose(
    database: Database,
    manifests: Sequence[Manifest],
    *,
    organisations: tuple[str, ...] = ("default",),
    ids: Ids | None = None,
) -> Application:
    """Return the application of `manifests` on a database that is up to date."""
    key = database.run(Scope("", None), _page_token_key)
    return Application(
        database,
        manifests,
        clock=database.clock,
        ids=ids or RandomIds(),
        page_tokens=PageTokens(key),
        organisations=organisations,
    )


def _page_token_key(unit: UnitOfWork) -> bytes:
    # Of no organisation: a token's signed content names the organisation it is for.
    known = unit.session.get(Secret, ("", _PAGE_TOKENS))
    if known is None:
        known = Secret(organisation="", site="", name=_PAGE_TOKENS, value=secrets.token_bytes(32))
        unit.session.add(known)
    return known.value
