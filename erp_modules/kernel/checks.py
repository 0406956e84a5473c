"""Every rule of a module, as a check that runs on every module found.

A rule arrives with its check: add a function `check_…(module)` here and it holds for all.
"""

from __future__ import annotations

import ast
import importlib
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, FileDescriptor, MethodDescriptor

import erp_modules
from erp_modules.kernel.authorisation import PUBLIC
from erp_modules.kernel.bootstrap import module_names
from erp_modules.kernel.checks_of_reads import unscoped_reads
from erp_modules.kernel.events import EventType
from erp_modules.kernel.manifest import Manifest
from erp_modules.kernel.migrate import differences, upgrade
from erp_modules.kernel.models import Base, Scoped
from erp_modules.kernel.policies import http_rules, policy_of
from erp_modules.kernel.service import method_name
from erp_modules.kernel.transcoding import bindings
from erp_modules.kernel.unit_of_work import Database

FILES = (
    "README.md",
    "__init__.py",
    "errors.py",
    "events.py",
    "manifest.py",
    "models.py",
    "repository.py",
    "service.py",
)
FOLDERS = {"migrations", "v1", "__pycache__"}
_SECTIONS = ("## What it does", "## Terms")


class RuleBrokenError(AssertionError):
    """A module breaks a rule; the message says which file and what to do."""


@dataclass(frozen=True)
class Module:
    """A module under check."""

    name: str
    root: Path

    @property
    def folder(self) -> Path:
        """Its folder."""
        return self.root / "erp_modules" / self.name

    @property
    def tests(self) -> Path:
        """The folder of its tests."""
        return self.root / "tests" / "erp_modules" / self.name

    @cached_property
    def manifest(self) -> Manifest:
        """What it says about itself."""
        manifest = importlib.import_module(f"erp_modules.{self.name}.manifest").MANIFEST
        if not isinstance(manifest, Manifest) or manifest.name != self.name:
            raise RuleBrokenError(f"manifest.py: MANIFEST is no Manifest of {self.name!r}")
        return manifest

    @cached_property
    def contract(self) -> FileDescriptor:
        """Its contract."""
        path = f"erp_modules.{self.name}.v1.{self.name}_pb2"
        descriptor: FileDescriptor = importlib.import_module(path).DESCRIPTOR
        return descriptor

    @property
    def rpcs(self) -> list[MethodDescriptor]:
        """Every RPC of its contract."""
        return [m for s in self.contract.services_by_name.values() for m in s.methods]

    @property
    def sources(self) -> list[Path]:
        """Its Python files, not what was generated nor the migrations."""
        return sorted(self.folder.glob("*.py"))

    @property
    def rows(self) -> list[type[Any]]:
        """The mapped classes of its tables."""
        importlib.import_module(f"erp_modules.{self.name}.models")
        return [
            mapper.class_
            for mapper in Base.registry.mappers
            if mapper.class_.__module__.startswith(f"erp_modules.{self.name}.")
        ]


@dataclass(frozen=True)
class Check:
    """One rule for one module."""

    module: str
    rule: str
    run: Callable[[], None]

    def __str__(self) -> str:
        """Such as `maintenance: every list pages`."""
        return f"{self.module}: {self.rule}"


def checks(root: Path | None = None) -> Iterator[Check]:
    """Yield every rule for every module below `root`, the tree this file is in by default."""
    root = root or Path(erp_modules.__path__[0]).parent
    rules = {
        name.removeprefix("check_").replace("_", " "): function
        for name, function in globals().items()
        if name.startswith("check_")
    }
    for name in module_names():
        module = Module(name, root)
        for rule, function in rules.items():
            yield Check(name, rule, lambda f=function, m=module: f(m))  # type: ignore[misc]


def _demand(condition: object, message: str) -> None:
    if not condition:
        raise RuleBrokenError(message)


def _none(found: list[str], message: str) -> None:
    _demand(not found, f"{message}: {', '.join(found)}")


# what there is -----------------------------------------------------------------------------


def check_files_are_where_they_belong(module: Module) -> None:
    """Every module has the same files, its contract, and tests."""
    _none([f for f in FILES if not (module.folder / f).is_file()], "files are missing")
    strange = [p.name for p in module.folder.iterdir() if p.is_dir() and p.name not in FOLDERS]
    _none(strange, "folders that no module has")
    contract = module.root / "proto" / "erp_modules" / module.name / "v1" / f"{module.name}.proto"
    _demand(contract.is_file(), f"{contract.relative_to(module.root)} is missing")
    _demand(list(module.tests.glob("test_*.py")), f"no tests in {module.tests}")


def check_readme_says_for_whom_and_what(module: Module) -> None:
    """The README opens with for whom it is and has the terms and where they come from."""
    text = (module.folder / "README.md").read_text()
    _demand(text.startswith("# "), "README.md: begin with a title")
    opening = text.split("\n## ", 1)[0].partition("\n")[2].strip()
    _demand(opening.startswith("For "), "README.md: below the title say for whom it is: `For …`")
    _none([s for s in _SECTIONS if f"\n{s}" not in text], "README.md: sections are missing")
    terms = text.split("\n## Terms", 1)[1]
    _demand("|" in terms or "- " in terms, "README.md: list the terms and their sources")


def check_files_have_one_subject(module: Module) -> None:
    """No file is so long that a second subject must have moved in."""
    long = [p.name for p in module.sources if len(p.read_text().splitlines()) > 450]
    _none(long, "longer than 450 lines: move the second subject out")


# contract ----------------------------------------------------------------------------------


def check_every_rpc_has_a_scope_of_the_module(module: Module) -> None:
    """Scopes are `{module}.{resource}.{verb}`."""
    strange = [
        rpc.full_name
        for rpc in module.rpcs
        if (scope := policy_of(rpc).scope) != PUBLIC and not scope.startswith(f"{module.name}.")
    ]
    _none(strange, f"scopes that do not begin with {module.name}.")


def check_every_rpc_has_an_http_binding(module: Module) -> None:
    """Every RPC is served over REST too."""
    _none([rpc.full_name for rpc in module.rpcs if not http_rules(rpc)], "no google.api.http")


def check_every_http_path_is_its_own(module: Module) -> None:
    """No two RPCs, of whatever module, answer to the same method and path."""
    from erp_modules.kernel.application import methods_of

    owners: dict[tuple[str, str], str] = {}
    for name in module_names():
        for service in Module(name, module.root).manifest.services:
            for method in methods_of(service):
                for binding in bindings(method):
                    key = (binding.verb, re.sub(r"\{p\d+\}", "*", binding.path))
                    other = owners.setdefault(key, method.full_name)
                    _demand(other == method.full_name, f"{key}: {other} and {method.full_name}")


def check_every_rpc_is_served(module: Module) -> None:
    """The manifest has a service for every service of the contract."""
    served = {str(s.contract.full_name) for s in module.manifest.services}
    stated = {str(s.full_name) for s in module.contract.services_by_name.values()}
    _none(sorted(stated - served), "manifest.py serves not")
    _none(sorted(served - stated), "manifest.py serves what the contract does not have")


def check_every_rpc_has_a_test(module: Module) -> None:
    """Some test of the module names the RPC."""
    text = "\n".join(p.read_text() for p in sorted(module.tests.rglob("*.py")))
    missing = [
        rpc.name
        for rpc in module.rpcs
        if not re.search(rf"\b({rpc.name}|{method_name(rpc.name)})(Request)?\b", text)
    ]
    _none(missing, f"no test in tests/erp_modules/{module.name} names")


def check_every_list_pages(module: Module) -> None:
    """List RPCs take `page_size` and `page_token` and answer one list and `next_page_token`."""
    for rpc in module.rpcs:
        if not rpc.name.startswith("List"):
            continue
        asked = rpc.input_type.fields_by_name
        _none([f for f in ("page_size", "page_token") if f not in asked], f"{rpc.name} lacks")
        answered = rpc.output_type.fields_by_name
        _demand("next_page_token" in answered, f"{rpc.name} answers no next_page_token")
        lists = [f for f in answered.values() if f.is_repeated]
        _demand(len(lists) == 1, f"{rpc.name} answers {len(lists)} lists, not one")


def check_creates_and_updates_follow_aip(module: Module) -> None:
    """Create takes a `request_id`; Update a mask, and its resource has an `etag`."""
    for rpc in module.rpcs:
        fields = rpc.input_type.fields_by_name
        if rpc.name.startswith("Create"):
            _demand("request_id" in fields, f"{rpc.name} takes no request_id")
        if rpc.name.startswith("Update"):
            _demand("update_mask" in fields, f"{rpc.name} takes no update_mask")
            _demand("etag" in rpc.output_type.fields_by_name, f"{rpc.name}: no etag to check")


def check_money_and_quantities_are_decimal(module: Module) -> None:
    """No amount, price, cost or quantity is a binary fraction."""
    floats = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
    found = [
        f"{message.name}.{field.name}"
        for message in module.contract.message_types_by_name.values()
        for field in message.fields
        if field.cpp_type in floats
        and re.search(r"(^|_)(amount|price|cost|quantity|balance)($|_)", field.name)
    ]
    _none(found, "binary fractions: write decimals as string")


# storage -----------------------------------------------------------------------------------


def check_every_table_has_organisation_and_site(module: Module) -> None:
    """Each is `Scoped`, named after the module, and its key holds the organisation."""
    for row in module.rows:
        table = row.__table__
        _demand(issubclass(row, Scoped), f"{row.__name__} is not Scoped")
        _demand(
            table.name.startswith(f"{module.name}_"), f"{table.name}: begin with {module.name}_"
        )
        for column in ("organisation", "site"):
            _demand(not table.columns[column].nullable, f"{table.name}.{column} may be empty")
        _demand("organisation" in table.primary_key, f"{table.name}: key without organisation")
        for constraint in table.foreign_key_constraints:
            columns = constraint.column_keys
            _demand("organisation" in columns, f"{table.name}: {columns} lead out of it")


def check_every_read_asks_for_organisation_and_site(module: Module) -> None:
    """What is sent to the database holds both, for every row and every repository."""
    repositories = importlib.import_module(f"erp_modules.{module.name}.repository")
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/check.db")
        upgrade(database.engine)
        found = unscoped_reads(database, module.rows, repositories)
        database.close()
    _none(found, "read without organisation and site")


def check_migrations_lead_to_the_models(module: Module) -> None:
    """A database that was brought up to date is what the models say."""
    importlib.import_module(f"erp_modules.{module.name}.models")
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/check.db")
        upgrade(database.engine)
        found = [str(difference) for difference in differences(database.engine, module.name)]
        database.close()
    order = f'python -m erp_modules.kernel.migrate {module.name} "what changed"'
    _none(found, f"models and migrations differ, run {order}")


# events ------------------------------------------------------------------------------------


def check_events_are_declared(module: Module) -> None:
    """What `events.py` defines is emitted or handled, and what is handled somebody emits."""
    manifest = module.manifest
    foreign = [t for t in manifest.emits if t.module != module.name]
    _none(list(map(str, foreign)), "manifest.py emits events of another module")
    events = importlib.import_module(f"erp_modules.{module.name}.events")
    defined = {v for v in vars(events).values() if isinstance(v, EventType)}
    known = {*manifest.emits, *(handler.event for handler in manifest.handlers)}
    _none(sorted(map(str, defined - known)), "in events.py, not in the manifest")
    emitted = {t for n in module_names() for t in Module(n, module.root).manifest.emits}
    unheard = {h.event for h in manifest.handlers} - emitted
    _none(sorted(map(str, unheard)), "handled, but nobody emits it")


def check_names_of_handlers_jobs_and_permissions(module: Module) -> None:
    """Their names begin with the module's, so that they are unique."""
    manifest = module.manifest
    names = [handler.name for handler in manifest.handlers]
    names += [job.name for job in manifest.jobs]
    names += [scope for scopes in manifest.permissions.values() for scope in scopes]
    names += [entry.scope for entry in manifest.navigation]
    _none([n for n in names if not n.startswith(f"{module.name}.")], f"not {module.name}.…")
    handlers = [handler.name for handler in manifest.handlers]
    _none([n for n in set(handlers) if handlers.count(n) > 1], "two handlers of one name")


# source ------------------------------------------------------------------------------------


def check_no_other_module_is_imported(module: Module) -> None:
    """Modules know each other by events only."""
    found = []
    for path in module.sources:
        for name in _imports(path):
            parts = name.split(".")
            ours = parts[0] == "erp_modules" and parts[1:2] in (["kernel"], [module.name])
            if parts[0] == "erp_modules" and not ours and len(parts) > 1:
                found.append(f"{path.name} imports {name}")
    _none(found, "react to an event instead")


def check_the_import_linter_knows_the_module(module: Module) -> None:
    """The contract in pyproject.toml that keeps modules apart lists it."""
    configuration = tomllib.loads((module.root / "pyproject.toml").read_text())
    kept_apart = [
        name
        for contract in configuration["tool"]["importlinter"]["contracts"]
        if contract["type"] == "independence"
        for name in contract["modules"]
    ]
    _demand(f"erp_modules.{module.name}" in kept_apart, "pyproject.toml: importlinter lacks it")


def check_sql_stays_in_the_repository(module: Module) -> None:
    """Only repositories touch the session, and only the unit of work commits."""
    found = []
    for path in module.sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Attribute):
                continue
            if node.attr in ("commit", "rollback"):
                found.append(f"{path.name}:{node.lineno} {node.attr}")
            if node.attr == "session" and "repository" not in path.stem:
                found.append(f"{path.name}:{node.lineno} session")
    _none(found, "belongs into the repository or the kernel")


def check_time_and_chance_come_from_outside(module: Module) -> None:
    """Nobody looks at the clock or rolls dice: the context has both."""
    chance = {"random", "secrets", "uuid"}
    found = [
        f"{path.name} imports {name}"
        for path in module.sources
        for name in _imports(path)
        if name.split(".")[0] in chance | {"time"}
    ]
    for path in module.sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("utcnow", "today"):
                found.append(f"{path.name}:{node.lineno} {node.attr}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "datetime.now":
                found.append(f"{path.name}:{node.lineno} datetime.now")
    _none(found, "use ctx.now() and ctx.new_id()")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "erp_modules":
                yield from (f"erp_modules.{alias.name}" for alias in node.names)
            else:
                yield node.module
