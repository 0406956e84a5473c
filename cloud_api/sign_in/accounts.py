"""Users, their sessions and tokens, in the database."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as DatabaseSession

from cloud_api.sign_in.models import ApiToken, Session, User
from cloud_api.sign_in.passwords import (
    hash_password,
    is_password,
    new_password,
    new_token,
    token_hash,
)
from cloud_api.sign_in.throttle import Throttle
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.clock import Clock
from erp_modules.kernel.errors import AlreadyExists, NotFound, Unauthenticated
from erp_modules.kernel.scoping import Scope
from erp_modules.kernel.unit_of_work import Database, UnitOfWork

T = TypeVar("T")

SESSION_LIFE = timedelta(hours=12)
# A session in use is prolonged this often at most, so that reading does not write.
PROLONGED_EVERY = timedelta(minutes=10)
# What a process with HEADRACE_API_TOKEN may do: say what it found, and read.
SERVICE_SCOPES = frozenset({"maintenance.advisory.write", "*.*.read"})
SERVICE = Principal(
    id="service:stream-processor",
    roles=frozenset({Role.SERVICE}),
    scopes=SERVICE_SCOPES,
)
NOWHERE = Scope("", None)


@dataclass(frozen=True, slots=True)
class TokenDescription:
    """A personal token, without what it is made of."""

    id: int
    title: str
    create_time: datetime


class Accounts:
    """Every question and change of the sign-in; synchronous, for threads."""

    def __init__(
        self, database: Database, clock: Clock, throttle: Throttle, service_token: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._throttle = throttle
        self._service_token = service_token

    def add_first_user(self, password: str) -> str | None:
        """Add the user `admin` when there is no user at all.

        With an empty `password` one is made and returned, to be printed once; else return None.
        """
        if self._read(lambda session: session.scalar(select(User.name).limit(1))) is not None:
            return None
        given = password or new_password()
        try:
            self.add_user("admin", given, frozenset({Role.ADMIN}))
        except AlreadyExists:  # by another replica, a moment ago
            return None
        return None if password else given

    def add_user(
        self,
        name: str,
        password: str,
        roles: frozenset[Role],
        *,
        sites: frozenset[str] = frozenset(),
        organisation: str = "default",
    ) -> None:
        """Add someone who may sign in; without `sites`, to every site of the organisation.

        Raises:
            AlreadyExists: the name is taken.
        """
        row = {
            "name": name,
            "organisation": organisation,
            "roles": " ".join(sorted(roles)),
            "sites": " ".join(sorted(sites)),
            "password_hash": hash_password(password),
            "create_time": self._clock.now(),
        }

        def add(session: DatabaseSession) -> None:
            if session.get(User, name) is not None:
                raise AlreadyExists(f"there is a user {name} already")
            session.add(User(**row))

        self._write(add)

    def sign_in(self, user: str, password: str, address: str) -> tuple[str, Principal]:
        """Open a session and return its token.

        Raises:
            Unauthenticated: no such user, or not their password.
            ResourceExhausted: too many wrong passwords from `address` or for `user`.
        """
        self._throttle.check(user, address)

        def find(session: DatabaseSession) -> tuple[str, Principal] | None:
            row = session.get(User, user)
            return (row.password_hash, _principal(row)) if row else None

        found = self._read(find)
        if not is_password(password, found[0] if found else None) or found is None:
            self._throttle.failed(user, address)
            raise Unauthenticated("wrong user or password")
        self._throttle.succeeded(user, address)
        token, now = new_token(), self._clock.now()
        principal = found[1]

        def open_session(unit: UnitOfWork) -> None:
            unit.session.execute(delete(Session).where(Session.expire_time <= now))
            unit.session.add(
                Session(
                    token_hash=token_hash(token),
                    user_name=user,
                    create_time=now,
                    expire_time=now + SESSION_LIFE,
                )
            )
            unit.record(
                principal=principal.id,
                action="sign_in",
                resource=principal.id,
                site="",
                detail=f"from {address}",
                trace_id="",
            )

        self._database.run(Scope(principal.organisation), open_session)
        return token, principal

    def of_session(self, token: str) -> Principal:
        """Return who has the session of `token`, and prolong it.

        Raises:
            Unauthenticated: there is none, or it has expired.
        """
        now = self._clock.now()

        def find(session: DatabaseSession) -> tuple[datetime, Principal] | None:
            row = session.execute(
                select(Session, User)
                .join(User, User.name == Session.user_name)
                .where(Session.token_hash == token_hash(token), Session.expire_time > now)
            ).first()
            return (row[0].expire_time, _principal(row[1])) if row else None

        found = self._read(find)
        if found is None:
            raise Unauthenticated("the session has ended: sign in again")
        expire_time, principal = found
        if expire_time < now + SESSION_LIFE - PROLONGED_EVERY:

            def prolong(session: DatabaseSession) -> None:
                current = session.get(Session, token_hash(token))
                if current is not None:
                    current.expire_time = now + SESSION_LIFE

            self._write(prolong)
        return principal

    def sign_out(self, token: str) -> None:
        """End a session; one that is none is ended already."""

        def end(session: DatabaseSession) -> None:
            session.execute(delete(Session).where(Session.token_hash == token_hash(token)))

        self._write(end)

    def of_service(self, token: str) -> Principal | None:
        """Return the principal of HEADRACE_API_TOKEN, None for another token; asks no database."""
        known = self._service_token
        return SERVICE if known and hmac.compare_digest(token.encode(), known.encode()) else None

    def of_bearer(self, token: str) -> Principal:
        """Return the user a bearer token was made for.

        Raises:
            Unauthenticated: nobody.
        """

        def find(session: DatabaseSession) -> Principal | None:
            row = session.scalars(
                select(User)
                .join(ApiToken, ApiToken.user_name == User.name)
                .where(ApiToken.token_hash == token_hash(token))
            ).first()
            return _principal(row) if row else None

        principal = self._read(find)
        if principal is None:
            raise Unauthenticated("the bearer token is not known here")
        return principal

    def add_token(self, user: str, title: str) -> tuple[str, TokenDescription]:
        """Make a personal token, which can be read this once."""
        token = new_token()

        def add(session: DatabaseSession) -> TokenDescription:
            row = ApiToken(
                token_hash=token_hash(token),
                user_name=user,
                title=title,
                create_time=self._clock.now(),
            )
            session.add(row)
            session.flush()
            return TokenDescription(row.position, row.title, row.create_time)

        return token, self._write(add)

    def tokens(self, user: str) -> list[TokenDescription]:
        """Return a user's tokens, newest first."""

        def find(session: DatabaseSession) -> list[TokenDescription]:
            rows = session.scalars(
                select(ApiToken)
                .where(ApiToken.user_name == user)
                .order_by(ApiToken.position.desc())
            )
            return [TokenDescription(r.position, r.title, r.create_time) for r in rows]

        return self._read(find)

    def remove_token(self, user: str, id: int) -> None:
        """Take a user's token back.

        Raises:
            NotFound: they have none of this id.
        """

        def remove(session: DatabaseSession) -> None:
            row = session.get(ApiToken, id)
            if row is None or row.user_name != user:
                raise NotFound(f"you have no token {id}")
            session.delete(row)

        self._write(remove)

    def _read(self, work: Callable[[DatabaseSession], T]) -> T:
        return self._database.run(NOWHERE, lambda unit: work(unit.session), read_only=True)

    def _write(self, work: Callable[[DatabaseSession], T]) -> T:
        return self._database.run(NOWHERE, lambda unit: work(unit.session))


def _principal(user: User) -> Principal:
    return Principal(
        id=f"users/{user.name}",
        organisation=user.organisation,
        sites=frozenset(user.sites.split()) or None,
        roles=frozenset(Role(role) for role in user.roles.split()),
    )
