"""The web application's files, and its first page for every address that is a page of it."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from erp_modules.kernel.authorisation import Authenticator
from erp_modules.kernel.errors import NotFound

WEB = Path(__file__).parent / "web" / "dist"
FOR_EVER = "public, max-age=31536000, immutable"
NOT_BUILT = """<!doctype html><html lang="en"><title>Headrace</title>
<h1>The web application is not built</h1><p>Run <code>make ui</code>, then load this page again.</p>
"""


class WebApplication:
    """Serves `folder`; names under `assets/` hold a hash of their content and never change."""

    def __init__(self, authenticator: Authenticator, folder: Path = WEB) -> None:
        self._authenticator = authenticator
        self._folder = folder
        self._files = StaticFiles(directory=folder, check_dir=False)

    async def serve(self, request: Request) -> Response:
        """Answer a request that no other route takes.

        Raises:
            Unauthenticated: nobody is signed in, and there is no such file or page.
            NotFound: there is no such file, page or resource.
        """
        path = request.path_params["path"]
        if request.method in ("GET", "HEAD") and not path.startswith("v1/"):
            if not (self._folder / "index.html").exists():
                return HTMLResponse(NOT_BUILT, 503, {"cache-control": "no-store"})
            name = path or "index.html"
            try:
                response = await self._files.get_response(name, request.scope)
            except HTTPException:
                # A page of the application has no dot in its last word; a missing file has.
                if "." not in path.rsplit("/", 1)[-1]:
                    name = "index.html"
                    response = await self._files.get_response(name, request.scope)
                else:
                    response = None
            if response is not None:
                hashed = name.startswith("assets/")
                response.headers["cache-control"] = FOR_EVER if hashed else "no-cache"
                return response
        await self._authenticator.authenticate(dict(request.headers))
        raise NotFound(f"there is nothing at {request.url.path}")
