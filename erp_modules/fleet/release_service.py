"""Releases: what the holder of the targets key has signed and can be rolled out."""

from __future__ import annotations

import re

from erp_modules.fleet.errors import MetadataRefused
from erp_modules.fleet.mapping import kind_of, release_message
from erp_modules.fleet.models import ReleaseRow
from erp_modules.fleet.ports import Ports, Target
from erp_modules.fleet.repository import ReleaseRepository
from erp_modules.fleet.v1 import fleet_pb2 as pb
from erp_modules.kernel import fields
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.service import Service

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}"
_MODEL = re.compile(rf"models/({_NAME})/({_NAME})/model\.tflite")
_CARD = re.compile(rf"models/({_NAME})/({_NAME})/model\.json")
_CONFIGURATION = re.compile(rf"configurations/({_NAME})/({_NAME})/gateway\.toml")
# What one call brings, in base64 too.
MAX_TARGET_BYTES = 4 * 1024 * 1024


class ReleaseService(Service):
    """What can be rolled out."""

    contract = pb.DESCRIPTOR.services_by_name["ReleaseService"]

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def publish_releases(
        self, ctx: Context, request: pb.PublishReleasesRequest
    ) -> pb.PublishReleasesResponse:
        """Put signed metadata with its files into the repository; the same again is fine."""
        fields.require(request, "targets")
        files = {}
        for index, file in enumerate(request.files):
            if not is_target(file.path):
                raise InvalidArgument.field(f"files[{index}].path", f"{file.path!r} is no target")
            files[file.path] = file.content
        targets = self._ports.need_updates().publish_targets(request.targets, files, ctx.now())
        repository = ReleaseRepository(ctx)
        found = []
        for target in targets:
            row = _row_of(ctx, target)
            if row is not None and repository.find(row.id) is None:
                found.append(repository.add(row))
                ctx.record(
                    "fleet.release.published", f"releases/{row.id}", site="", detail=row.sha256
                )
        return pb.PublishReleasesResponse(releases=map(release_message, found))

    def get_release(self, ctx: Context, request: pb.GetReleaseRequest) -> pb.Release:
        """Return a release."""
        return release_message(ReleaseRepository(ctx).get_by_name(request.name))

    def list_releases(
        self, ctx: Context, request: pb.ListReleasesRequest
    ) -> pb.ListReleasesResponse:
        """Return releases, newest first."""
        where = []
        if request.kind:
            where.append(ReleaseRow.kind == kind_of(request.kind, "kind"))
        if request.subject:
            where.append(ReleaseRow.subject == request.subject)
        page = ReleaseRepository(ctx).page(
            *where, size=request.page_size, token=request.page_token, order_by=request.order_by
        )
        return pb.ListReleasesResponse(
            releases=map(release_message, page.items),
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )


def is_target(path: str) -> bool:
    """Say whether a path is one that the targets role may sign.

    >>> is_target("models/fan/1.0/model.tflite"), is_target("models/../root.json")
    (True, False)
    """
    return any(form.fullmatch(path) for form in (_MODEL, _CARD, _CONFIGURATION))


def _row_of(ctx: Context, target: Target) -> ReleaseRow | None:
    for kind, form in (("MODEL", _MODEL), ("CONFIGURATION", _CONFIGURATION)):
        match = form.fullmatch(target.path)
        if match is None:
            continue
        id = ReleaseRepository.key(kind, match[1], match[2])
        if len(id) > 128:
            raise MetadataRefused(f"{target.path}: subject and version are too long together")
        return ReleaseRow(
            id=id,
            site="",
            kind=kind,
            subject=match[1],
            released_version=match[2],
            sha256=target.sha256,
            size_bytes=target.size_bytes,
            publisher=ctx.principal.id,
        )
    return None
