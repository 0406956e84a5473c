"""Keep other sites' pages from acting with a browser's session (CSRF)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from cloud_api.sign_in.authenticator import bearer_token, session_token
from erp_modules.kernel.errors import PermissionDenied

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def check_origin(headers: Mapping[str, str]) -> None:
    """Let pass a request from a page of our own, and one that no page sends.

    A browser sends no bearer token on its own account, so that needs no origin; a session's cookie
    it does, so that needs one. SameSite=Strict stands behind this.

    Raises:
        PermissionDenied: it comes from a page of another site.
    """
    if bearer_token(headers) is not None:
        return
    origin = headers.get("origin")
    if origin is None:
        if session_token(headers) is not None:
            raise PermissionDenied("a request with a session needs the header Origin")
        return
    if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise PermissionDenied(f"a page of {origin} may not call this server")
