"""Find out who calls, from the headers of a request or the metadata of a gRPC call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from cloud_api.sign_in.accounts import Accounts
from erp_modules.kernel.authorisation import Principal
from erp_modules.kernel.errors import Unauthenticated

COOKIE = "headrace_session"


def session_token(headers: Mapping[str, str]) -> str | None:
    """Return the session's token from the cookie, None without one."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found and found.value else None


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the bearer token, None without one."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


class SignInAuthenticator:
    """Knows sessions by their cookie and tokens by the header `authorization`."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """Return the caller; names of `headers` are in lower case.

        Raises:
            Unauthenticated: nobody known.
        """
        bearer = bearer_token(headers)
        if bearer is not None:
            service = self._accounts.of_service(bearer)
            if service is not None:
                return service
            return await asyncio.to_thread(self._accounts.of_bearer, bearer)
        session = session_token(headers)
        if session is not None:
            return await asyncio.to_thread(self._accounts.of_session, session)
        raise Unauthenticated("sign in first, or send a bearer token")
