"""One check for updates, from the repository to the manifest; runs in a process of its own.

The steps are told as they are done, so that a test can kill the process after each:
`begun`, `refreshed`, `downloaded`, `taken`, `tried`, `written`, `swept`, `ended`.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from edge_agent.updates import items, smoke
from edge_agent.updates.configuration import problem_of
from edge_agent.updates.items import Item, ItemsError
from edge_agent.updates.job import Finding, Job, Outcome
from edge_agent.updates.repository import RefusedError, Repository, UnreachableError
from edge_agent.updates.store import CARD, CONFIGURATION, MODEL, Artefact, Slot, Store

CARD_MAX_BYTES: Final = 1 << 20
CONFIGURATION_MAX_BYTES: Final = 1 << 20
ROLLOUTS_MAX_BYTES: Final = 1 << 20
Say = Callable[[str], None]


def check(job: Job, say: Say) -> Outcome:
    """Bring the metadata up to date and put on trial what is rolled out to this gateway.

    Never raises for what a server does: the outcome says it.

    Raises:
        OSError: the disk refused; what counted still does.
    """
    store = Store(Path(job.folder))
    store.folder.mkdir(parents=True, exist_ok=True)
    with (store.folder / "check.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Outcome(result="unreachable", reason="another check is running")
        say("begun")
        return _Check(job, store, say).run()


class _Check:
    def __init__(self, job: Job, store: Store, say: Say) -> None:
        self._job, self._store, self._say = job, store, say
        self._findings: list[Finding] = []
        self._repository: Repository | None = None

    def run(self) -> Outcome:
        result, reason = "good", ""
        try:
            self._follow()
        except (RefusedError, ItemsError) as error:
            result, reason = "refused", str(error)
        except UnreachableError as error:
            result, reason = "unreachable", str(error)
        self._store.sweep()
        self._say("swept")
        skew = self._repository.clock_skew_s if self._repository else None
        self._say("ended")
        return Outcome(result=result, reason=reason, findings=self._findings, clock_skew_s=skew)

    def _follow(self) -> None:
        job = self._job
        try:
            root = Path(job.root).read_bytes()
        except OSError as error:
            raise RefusedError(f"no root to trust, enrol this gateway first: {error}") from error
        repository = self._repository = Repository(
            job.server, root, self._store.metadata, job.stall_s, job.least_rate_bytes_s
        )
        repository.refresh()
        self._say("refreshed")
        with self._store.staging() as folder:
            rollouts = repository.download(
                f"rollouts/{job.site}.json", folder, ROLLOUTS_MAX_BYTES, least=False
            )
            asked = [] if rollouts is None else items.read(rollouts.read_bytes())
            slot_of = self._store.manifest().slot
            for item in items.chosen(asked, job.edge_node, job.group, job.configuration, slot_of):
                self._item(repository, item, folder)

    def _item(self, repository: Repository, item: Item, folder: Path) -> None:
        slot = self._store.manifest().slot(item.kind, item.subject)
        if items.takes_back(item, slot):
            with self._store.changing() as change:
                slot = change.manifest.slot(item.kind, item.subject)
                slot = items.taken_back(item, slot, _now_ms())
                change.put(item.kind, item.subject, slot)
            self._say("written")
            self._found(item, item.version, "taken back")
        wanted = items.installs(item, slot)
        if wanted or self._damaged(item, slot):
            self._install(repository, item, wanted or item.version, folder)

    def _damaged(self, item: Item, slot: Slot) -> bool:
        """Say whether the version that is rolled out is here, but not as it was."""
        return item.state == "rolling" and any(
            have is not None
            and have.version == item.version
            and not all(map(self._store.has, have.files.values()))
            for have in (slot.current, slot.trial)
        )

    def _install(self, repository: Repository, item: Item, version: str, folder: Path) -> None:
        """Fetch a version, run it once, and put it on trial."""
        try:
            artefact = self._fetched(repository, item, version, folder)
            if artefact is None:
                return
            reason = self._problem(item, artefact)
        except RefusedError as error:
            # One bad target does not keep the others back.
            self._found(item, version, "refused", str(error))
            return
        self._say("tried")
        with self._store.changing() as change:
            slot = change.manifest.slot(item.kind, item.subject).tried(artefact)
            if reason:
                slot = slot.dropped(reason, _now_ms())
            elif slot.current is not None and slot.current.digest == artefact.digest:
                # Another rollout of what counts already: nothing to try.
                slot = _renamed(slot, artefact)
            change.put(item.kind, item.subject, slot)
        self._say("written")
        self._found(item, version, "refused" if reason else "on trial", reason)

    def _fetched(
        self, repository: Repository, item: Item, version: str, folder: Path
    ) -> Artefact | None:
        """Return a version with its contents in the store, None when it was refused before."""
        names = {
            "model": {MODEL: self._job.max_target_bytes, CARD: CARD_MAX_BYTES},
            "configuration": {CONFIGURATION: CONFIGURATION_MAX_BYTES},
        }[item.kind]
        base = f"{item.kind}s/{item.subject}/{version}"
        announced = {name: repository.announced(f"{base}/{name}") for name in names}
        files = {name: digest for name, digest in announced.items() if digest is not None}
        if missing := sorted(names.keys() - files.keys()):
            raise RefusedError(f"{base}/{missing[0]}: nobody who may has signed it")
        artefact = Artefact(version=version, files=files, rollout=item.rollout, since_ms=_now_ms())
        refused = self._store.manifest().slot(item.kind, item.subject).refused
        if refused and (refused.rollout, refused.digest) == (item.rollout, artefact.digest):
            self._found(item, version, "refused before", refused.reason)
            return None
        for name, digest in files.items():
            if not self._store.has(digest):
                path = repository.download(f"{base}/{name}", folder, names[name])
                assert path is not None
                self._say("downloaded")
                if self._store.take(path) != digest:
                    raise RefusedError(f"{base}/{name}: other than its SHA-256")
                self._say("taken")
        return artefact

    def _problem(self, item: Item, artefact: Artefact) -> str:
        """Return what keeps a version from being tried; empty when nothing does."""
        if item.kind == "configuration":
            return problem_of(Path(self._job.gateway), self._store.path(artefact, CONFIGURATION))
        weights = self._store.path(artefact, MODEL)
        card = self._store.path(artefact, CARD)
        try:
            said = json.loads(card.read_bytes())
        except (ValueError, RecursionError) as error:
            return f"its card is no JSON: {error}"
        if not isinstance(said, dict):
            return "its card is no JSON object"
        for name, wanted in (("equipment_class", item.subject), ("version", artefact.version)):
            if said.get(name) != wanted:
                return f"its card says {name} {said.get(name)!r}, not {wanted!r}"
        return smoke.survives(weights, card)

    def _found(self, item: Item, version: str, what: str, reason: str = "") -> None:
        self._findings.append(
            Finding(
                kind=item.kind,
                subject=item.subject,
                version=version,
                rollout=item.rollout,
                what=what,
                reason=reason,
            )
        )


def _renamed(slot: Slot, artefact: Artefact) -> Slot:
    """Return the slot with what counts under the rollout that asks for it now."""
    assert slot.current is not None
    current = msgspec.structs.replace(
        slot.current, version=artefact.version, rollout=artefact.rollout
    )
    return Slot(current=current, previous=slot.previous)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def step_teller(descriptor: int = 1) -> Say:
    """Return what tells the steps, a line of JSON each, at once."""

    def say(step: str) -> None:
        os.write(descriptor, json.dumps({"step": step}).encode() + b"\n")

    return say
