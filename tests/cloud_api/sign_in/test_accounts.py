"""Sessions over time, on a database of their own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cloud_api.sign_in.accounts import Accounts
from cloud_api.sign_in.migrate import VERSION_TABLE, upgrade
from cloud_api.sign_in.models import SignInBase
from cloud_api.sign_in.throttle import Throttle
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.errors import AlreadyExists, ResourceExhausted, Unauthenticated
from erp_modules.kernel.unit_of_work import Database


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    application = bootstrap(f"sqlite:///{tmp_path / 'headrace.db'}", manifests=[], clock=clock)
    upgrade(application.database.engine)
    yield application.database
    application.close()


@pytest.fixture
def accounts(database: Database, clock: ManualClock) -> Accounts:
    return Accounts(database, clock, Throttle(lambda: 0.0), "the-token-of-the-service")


def test_models_are_as_the_migrations_say(database: Database) -> None:
    upgrade(database.engine)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "compare_type": True,
                "include_name": lambda name, kind, parents: (
                    kind != "table" or (name or "").startswith("sign_in_")
                ),
            },
        )
        assert compare_metadata(context, SignInBase.metadata) == []


def test_the_first_password_is_made_and_told_once(accounts: Accounts) -> None:
    password = accounts.add_first_user("")
    assert password is not None
    assert len(password) >= 16
    assert accounts.add_first_user("") is None
    assert accounts.add_first_user("another") is None
    _, principal = accounts.sign_in("admin", password, "here")
    assert principal == Principal("users/admin", roles=frozenset({Role.ADMIN}))


def test_a_given_first_password_is_not_told(accounts: Accounts) -> None:
    assert accounts.add_first_user("given by the environment") is None
    accounts.sign_in("admin", "given by the environment", "here")
    with pytest.raises(AlreadyExists, match="admin"):
        accounts.add_user("admin", "again", frozenset())


def test_a_session_ends_twelve_hours_after_its_last_use(
    accounts: Accounts, clock: ManualClock
) -> None:
    accounts.add_first_user("a password")
    token, _ = accounts.sign_in("admin", "a password", "here")
    for _ in range(3):
        clock.advance(timedelta(hours=11, minutes=59))
        assert accounts.of_session(token).id == "users/admin"
    clock.advance(timedelta(hours=12))
    with pytest.raises(Unauthenticated):
        accounts.of_session(token)


def test_sites_and_organisation_come_with_the_user(accounts: Accounts) -> None:
    accounts.add_user(
        "olga",
        "a password",
        frozenset({Role.OPERATOR, Role.TECHNICIAN}),
        sites=frozenset({"north", "south"}),
        organisation="bottlers",
    )
    token, principal = accounts.sign_in("olga", "a password", "here")
    assert principal == Principal(
        "users/olga",
        "bottlers",
        frozenset({"north", "south"}),
        frozenset({Role.OPERATOR, Role.TECHNICIAN}),
    )
    assert accounts.of_session(token) == principal


def test_only_the_whole_service_token_is_the_service(
    accounts: Accounts, database: Database
) -> None:
    service = accounts.of_service("the-token-of-the-service")
    assert service is not None
    assert service.id == "service:stream-processor"
    assert accounts.of_service("the-token-of-the-servic") is None
    assert accounts.of_service("") is None
    nobody = Accounts(database, ManualClock(), Throttle(lambda: 0.0), "")
    assert nobody.of_service("") is None


class Elapsing:
    """Monotonic seconds that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_waiting_doubles_and_ends() -> None:
    time = Elapsing()
    throttle = Throttle(time)
    waits = []
    for attempt in range(8):
        throttle.failed("admin", "here")
        if attempt >= 4:
            with pytest.raises(ResourceExhausted) as refused:
                throttle.check("admin", "here")
            waits.append(refused.value.retry_after)
            time.now += refused.value.retry_after
        throttle.check("admin", "here")
    assert waits == [30, 60, 120, 240]


def test_a_user_can_sign_in_from_elsewhere_while_someone_guesses() -> None:
    throttle = Throttle(Elapsing())
    for _ in range(20):
        throttle.failed("admin", "there")
    throttle.check("admin", "here")
    for user in ("admin", "another"):
        with pytest.raises(ResourceExhausted):
            throttle.check(user, "there")


def test_success_forgets_the_wrong_passwords_before_it() -> None:
    throttle = Throttle(Elapsing())
    for _ in range(4):
        throttle.failed("admin", "here")
    throttle.succeeded("admin", "here")
    for _ in range(4):
        throttle.failed("admin", "here")
    throttle.check("admin", "here")
