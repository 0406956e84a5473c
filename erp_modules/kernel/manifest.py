"""What a module says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from erp_modules.kernel.authorisation import Role
from erp_modules.kernel.events import EventType
from erp_modules.kernel.handlers import Handler
from erp_modules.kernel.jobs import Job
from erp_modules.kernel.service import Service


@dataclass(frozen=True)
class Navigation:
    """An entry of the UI's navigation, shown to who has `scope`."""

    title: str
    path: str
    scope: str
    icon: str = ""


@dataclass(frozen=True)
class Manifest:
    """A module: its services, what it emits and handles, its jobs, pages and permissions."""

    name: str
    title: str
    services: tuple[Service, ...]
    emits: tuple[EventType, ...] = ()
    handlers: tuple[Handler, ...] = ()
    jobs: tuple[Job, ...] = ()
    navigation: tuple[Navigation, ...] = ()
    permissions: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)
