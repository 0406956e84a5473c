"""`GET /v1/updates/…`: the update repository's files, read only, without a sign-in.

A gateway trusts signatures, not this door: what is served is no secret, and a sign-in would be one
more thing that can be wrong on a gateway nobody comes back to.
"""

from __future__ import annotations

import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from cloud_api.updates import UpdateRepository
from erp_modules.kernel import rest
from erp_modules.kernel.errors import NotFound

_METADATA = re.compile(r"(timestamp|[1-9][0-9]{0,9}\.(root|snapshot|targets|rollouts))\.json")
_TARGET = re.compile(r"(models|configurations|rollouts)(/[^/]{1,80}){0,2}/[0-9a-f]{64}\.[^/]{1,80}")


def update_routes(repository: UpdateRepository | None) -> list[Route]:
    """Return the routes; without a repository they answer that there is none."""

    def answer(folder: Path | None, name: str, cached: bool) -> Response:
        path = None if folder is None else folder / name
        if path is None or ".." in name.split("/") or not _is_file(path):
            return rest.problem(NotFound(f"no such file of the update repository: {name}"))
        # What has its version or hash in its name never changes.
        control = "public, max-age=31536000, immutable" if cached else "no-cache"
        return FileResponse(
            path, media_type="application/octet-stream", headers={"cache-control": control}
        )

    async def metadata(request: Request) -> Response:
        name = request.path_params["file"]
        known = repository is not None and _METADATA.fullmatch(name)
        folder = repository.metadata_folder if repository is not None and known else None
        return answer(folder, name, name != "timestamp.json")

    async def target(request: Request) -> Response:
        name = request.path_params["path"]
        known = repository is not None and _TARGET.fullmatch(name)
        folder = repository.targets_folder if repository is not None and known else None
        return answer(folder, name, cached=True)

    return [
        Route("/v1/updates/metadata/{file}", metadata, methods=["GET"]),
        Route("/v1/updates/targets/{path:path}", target, methods=["GET"]),
    ]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # Such as a name longer than the file system has.
        return False
