"""`/v1/session`: sign in, who am I, sign out; and a person's own tokens."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from cloud_api.counters import SIGN_IN_FAILURES
from cloud_api.sign_in.accounts import Accounts
from cloud_api.sign_in.authenticator import COOKIE, session_token
from erp_modules.kernel.authorisation import Authenticator, Authorisation, Principal
from erp_modules.kernel.errors import PermissionDenied, Unauthenticated

# Argon2 takes 64 MiB a password.
PASSWORDS_AT_ONCE = 2
SIGN_IN = "/v1/session"
USERS = "users/"


class Credentials(BaseModel):
    """Who wants to sign in."""

    model_config = ConfigDict(extra="forbid")
    user: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=1024)]


class SessionInfo(BaseModel):
    """Who is signed in, and what they may do; scopes may hold `*` for any word."""

    user: str
    roles: list[str]
    scopes: list[str]


class TokenRequest(BaseModel):
    """What a new token is for."""

    model_config = ConfigDict(extra="forbid")
    title: Annotated[str, Field(min_length=1, max_length=128)]


class TokenInfo(BaseModel):
    """A token without its secret."""

    id: int
    title: str
    create_time: Annotated[datetime, Field(serialization_alias="createTime")]


class NewToken(TokenInfo):
    """A token with its secret, told this once."""

    token: str


class TokenList(BaseModel):
    """A person's tokens."""

    tokens: list[TokenInfo]


def session_routes(
    accounts: Accounts, authenticator: Authenticator, authorisation: Authorisation
) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["Session"])
    passwords = asyncio.Semaphore(PASSWORDS_AT_ONCE)

    def described(principal: Principal) -> SessionInfo:
        return SessionInfo(
            user=principal.id.removeprefix(USERS),
            roles=sorted(principal.roles),
            scopes=sorted(authorisation.scopes(principal)),
        )

    async def person(request: Request) -> str:
        """Return the name of the user whose session this is."""
        headers = dict(request.headers)
        principal = await authenticator.authenticate(headers)
        if session_token(headers) is None or not principal.id.startswith(USERS):
            raise PermissionDenied("tokens are managed with a session, not with a token")
        return principal.id.removeprefix(USERS)

    @router.post(SIGN_IN, operation_id="CreateSession")
    async def sign_in(
        credentials: Credentials, request: Request, response: Response
    ) -> SessionInfo:
        """Sign in; the answer sets the session's cookie."""
        address = request.client.host if request.client else ""
        try:
            async with passwords:
                token, principal = await asyncio.to_thread(
                    accounts.sign_in, credentials.user, credentials.password, address
                )
        except Unauthenticated:
            SIGN_IN_FAILURES.inc()
            raise
        response.set_cookie(
            COOKIE,
            token,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path="/",
        )
        response.headers["cache-control"] = "no-store"
        return described(principal)

    @router.get(SIGN_IN, operation_id="GetSession")
    async def who(request: Request, response: Response) -> SessionInfo:
        """Say who is signed in."""
        response.headers["cache-control"] = "no-store"
        return described(await authenticator.authenticate(dict(request.headers)))

    @router.delete(SIGN_IN, operation_id="DeleteSession", status_code=204)
    async def sign_out(request: Request, response: Response) -> None:
        """End the session."""
        headers = dict(request.headers)
        await authenticator.authenticate(headers)
        token = session_token(headers)
        if token is not None:
            await asyncio.to_thread(accounts.sign_out, token)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")

    @router.post("/v1/session/tokens", operation_id="CreateToken")
    async def add_token(body: TokenRequest, request: Request, response: Response) -> NewToken:
        """Make a bearer token that acts for the caller."""
        user = await person(request)
        token, kept = await asyncio.to_thread(accounts.add_token, user, body.title)
        response.headers["cache-control"] = "no-store"
        return NewToken(id=kept.id, title=kept.title, create_time=kept.create_time, token=token)

    @router.get("/v1/session/tokens", operation_id="ListTokens")
    async def list_tokens(request: Request) -> TokenList:
        """List the caller's tokens, newest first."""
        found = await asyncio.to_thread(accounts.tokens, await person(request))
        return TokenList(
            tokens=[TokenInfo(id=t.id, title=t.title, create_time=t.create_time) for t in found]
        )

    @router.delete("/v1/session/tokens/{id}", operation_id="DeleteToken", status_code=204)
    async def remove_token(id: int, request: Request) -> None:
        """Take a token back."""
        await asyncio.to_thread(accounts.remove_token, await person(request), id)

    return router
