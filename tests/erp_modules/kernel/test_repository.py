"""Reading and writing rows: pages, order, etags, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import aliased

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import Principal, Role
from erp_modules.kernel.bootstrap import bootstrap
from erp_modules.kernel.clock import ManualClock
from erp_modules.kernel.context import Context
from erp_modules.kernel.errors import Aborted, AlreadyExists, InvalidArgument, PermissionDenied
from erp_modules.kernel.manifest import Manifest
from erp_modules.kernel.models import Base
from erp_modules.kernel.repository import Repository
from erp_modules.supply_chain.v1 import supply_chain_pb2 as pb

AddVendor = Callable[..., pb.Vendor]
NORTH = Principal("users/nora", sites=frozenset({"north"}), roles=frozenset({Role.ADMIN}))
OTHERS = Principal("users/otto", organisation="other", roles=frozenset({Role.ADMIN}))


@pytest.fixture
def vendors(trial: Manifest) -> type[Repository[Any]]:
    """The trial module's repository."""
    return trial.services[0].repository  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def app(database_url: str, trial: Manifest, clock: ManualClock) -> Iterator[Application]:
    application = bootstrap(
        database_url, manifests=[trial], clock=clock, organisations=("default", "other")
    )
    Base.metadata.tables["trial_vendors"].create(application.database.engine)
    yield application
    application.close()


def names(app: Application, principal: Principal, read: Callable[[Context], Any]) -> list[str]:
    return sorted(app.run(principal, lambda ctx: [row.display_name for row in read(ctx)]))


def test_every_way_to_read_sees_only_the_callers_rows(
    app: Application, admin: Principal, add_vendor: AddVendor, vendors: type[Repository[Any]]
) -> None:
    add_vendor("n", "north")
    add_vendor("s", "south")
    add_vendor("o", "north", by=OTHERS)
    row = vendors.model
    second = aliased(row)
    reads: dict[str, Callable[[Context], Any]] = {
        "all": lambda ctx: vendors(ctx).all(),
        "page": lambda ctx: vendors(ctx).page().items,
        "select": lambda ctx: ctx.session.scalars(select(row)),
        "columns": lambda ctx: ctx.session.execute(select(row.display_name)),
        "alias": lambda ctx: ctx.session.scalars(select(second)),
        "or": lambda ctx: ctx.session.scalars(
            select(row).where((row.site == "south") | (row.site == "north"))
        ),
        "subquery": lambda ctx: ctx.session.scalars(
            select(row).where(row.id.in_(select(second.id)))
        ),
        "join": lambda ctx: ctx.session.execute(
            select(second.display_name).join(row, row.id == second.id)
        ),
    }
    for way, read in reads.items():
        assert names(app, admin, read) == ["n", "s"], way
        assert names(app, NORTH, read) == ["n"], way
        assert names(app, OTHERS, read) == ["o"], way
    for principal, count in ((admin, 2), (NORTH, 1), (OTHERS, 1)):
        assert app.run(principal, lambda ctx: vendors(ctx).count()) == count
        counted = select(func.count()).select_from(row)
        assert app.run(principal, lambda ctx, s=counted: ctx.session.scalar(s)) == count


def test_get_does_not_find_what_is_not_the_callers(
    app: Application, add_vendor: AddVendor, vendors: type[Repository[Any]]
) -> None:
    south = vendors.id_of(add_vendor("s", "south").name)
    assert app.run(NORTH, lambda ctx: vendors(ctx).find(south)) is None
    key = ("default", south)
    assert app.run(NORTH, lambda ctx: ctx.session.get(vendors.model, key)) is None
    assert app.run(OTHERS, lambda ctx: ctx.session.get(vendors.model, key)) is None


def test_statements_that_change_rows_change_only_the_callers(
    app: Application, admin: Principal, add_vendor: AddVendor, vendors: type[Repository[Any]]
) -> None:
    for site in ("north", "south"):
        add_vendor(site, site)
    row = vendors.model
    app.run(NORTH, lambda ctx: ctx.session.execute(update(row).values(display_name="changed")))
    assert names(app, admin, lambda ctx: vendors(ctx).all()) == ["changed", "south"]
    app.run(OTHERS, lambda ctx: ctx.session.execute(delete(row)))
    app.run(NORTH, lambda ctx: ctx.session.execute(delete(row)))
    assert names(app, admin, lambda ctx: vendors(ctx).all()) == ["south"]


def test_rows_stay_in_the_callers_organisation_and_sites(
    app: Application, admin: Principal, add_vendor: AddVendor, vendors: type[Repository[Any]]
) -> None:
    made = add_vendor("n", "north")
    with pytest.raises(PermissionDenied, match="south"):
        add_vendor("x", "south", by=NORTH)

    def move(ctx: Context) -> None:
        vendors(ctx).get_by_name(made.name).site = "south"

    with pytest.raises(PermissionDenied, match="south"):
        app.run(NORTH, move)

    def give_away(ctx: Context) -> None:
        vendors(ctx).get_by_name(made.name).organisation = "other"

    with pytest.raises(PermissionDenied, match="other"):
        app.run(admin, give_away)
    with pytest.raises(RuntimeError, match=r"repository\.add"):
        app.run(admin, lambda ctx: ctx.session.execute(insert(vendors.model).values(id="x")))


def test_a_text_that_does_not_fit_is_refused_on_every_database(
    app: Application, add_vendor: AddVendor
) -> None:
    with pytest.raises(InvalidArgument, match="200 characters"):
        add_vendor("x" * 201)


def test_a_second_of_the_same_is_refused_and_the_rest_goes_on(
    app: Application, admin: Principal, vendors: type[Repository[Any]]
) -> None:
    def work(ctx: Context) -> int:
        repository = vendors(ctx)
        for id_, email in (("a", "a@x"), ("a", "b@x"), ("b", "a@x"), ("c", "c@x")):
            row = vendors.model(id=id_, site="north", display_name=id_, email=email)
            if email == "c@x" or (id_, email) == ("a", "a@x"):
                repository.add(row)
            else:
                with pytest.raises(AlreadyExists, match=f"vendors/{id_}"):
                    repository.add(row)
        return repository.count()

    assert app.run(admin, work) == 2


def test_an_etag_holds_until_the_row_changes(
    app: Application, admin: Principal, add_vendor: AddVendor, vendors: type[Repository[Any]]
) -> None:
    made = add_vendor("n")

    def rename(ctx: Context, etag: str) -> str:
        row = vendors(ctx).get_by_name(made.name, etag=etag)
        row.display_name += "!"
        vendors(ctx).flush()
        return str(row.etag)

    second = app.run(admin, lambda ctx: rename(ctx, made.etag))
    assert second != made.etag
    with pytest.raises(Aborted, match="out of date"):
        app.run(admin, lambda ctx: rename(ctx, made.etag))
    app.run(admin, lambda ctx: rename(ctx, second))


def test_times_are_set_by_the_unit_of_work(
    app: Application,
    admin: Principal,
    add_vendor: AddVendor,
    clock: ManualClock,
    vendors: type[Repository[Any]],
) -> None:
    start = clock.now()
    made = add_vendor("n")
    clock.advance(timedelta(hours=1))

    def rename(ctx: Context) -> None:
        vendors(ctx).get_by_name(made.name).display_name = "m"

    app.run(admin, rename)
    row = app.run(admin, lambda ctx: vendors(ctx).get_by_name(made.name))
    assert (row.create_time, row.update_time) == (start, start + timedelta(hours=1))


@pytest.mark.parametrize("order_by", ["colour", "display_name asc desc", "display_name up", ","])
def test_an_order_that_does_not_exist_is_refused(
    app: Application, admin: Principal, vendors: type[Repository[Any]], order_by: str
) -> None:
    with pytest.raises(InvalidArgument, match="order_by"):
        app.run(admin, lambda ctx: vendors(ctx).page(order_by=order_by))


def test_a_token_fits_its_own_list_only(
    app: Application, admin: Principal, add_vendor: AddVendor, vendors: type[Repository[Any]]
) -> None:
    for name in "abc":
        add_vendor(name)
    token = app.run(admin, lambda ctx: vendors(ctx).page(size=1)).next_page_token
    uses: dict[str, Callable[[Context], Any]] = {
        "another order": lambda ctx: vendors(ctx).page(token=token, order_by="display_name"),
        "another filter": lambda ctx: vendors(ctx).page(vendors.model.site == "north", token=token),
        "tampered": lambda ctx: vendors(ctx).page(token=token[:-2] + "AA"),
        "cut": lambda ctx: vendors(ctx).page(token=token[:4]),
        "nonsense": lambda ctx: vendors(ctx).page(token="%%%"),
    }
    for use, read in uses.items():
        with pytest.raises(InvalidArgument, match="page_token") as caught:
            app.run(admin, read)
        assert [v.field for v in caught.value.violations] == ["page_token"], use
    with pytest.raises(InvalidArgument, match="page_token"):
        app.run(OTHERS, lambda ctx: vendors(ctx).page(token=token))
    again = app.run(admin, lambda ctx: vendors(ctx).page(size=2, token=token))
    assert len(again.items) == 2


times = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
ratings = st.decimals(-1000, 1000, places=6)
row_values = st.tuples(
    st.sampled_from("aab"), st.none() | ratings, st.none() | times, st.sampled_from(["n", "s"])
)
orders = st.lists(
    st.tuples(
        st.sampled_from(["display_name", "rating", "last_order_time", "create_time"]),
        st.sampled_from(["", " desc"]),
    ),
    max_size=3,
    unique_by=lambda order: order[0],
).map(lambda order: ",".join(field + direction for field, direction in order))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=st.lists(row_values, max_size=12), order_by=orders, size=st.integers(1, 5))
def test_pages_put_together_are_the_list(
    app: Application,
    admin: Principal,
    vendors: type[Repository[Any]],
    rows: list[tuple[str, Decimal | None, datetime | None, str]],
    order_by: str,
    size: int,
) -> None:
    def fill(ctx: Context) -> None:
        ctx.session.execute(delete(vendors.model))
        for index, (name, rating, time, site) in enumerate(rows):
            ctx.session.add(
                vendors.model(
                    id=f"v{index}", display_name=name, email=str(index), site=site,
                    rating=rating, last_order_time=time,
                )
            )  # fmt: skip

    app.run(admin, fill)
    whole = app.run(admin, lambda ctx: vendors(ctx).page(size=1000, order_by=order_by))
    assert whole.total_size == len(whole.items) == len(rows)
    assert whole.next_page_token == ""
    pages: list[str] = []
    token = ""
    while True:
        page = app.run(
            admin,
            lambda ctx, t=token: vendors(ctx).page(size=size, token=t, order_by=order_by),
        )
        pages += [row.id for row in page.items]
        assert page.total_size == len(rows)
        token = page.next_page_token
        if not token:
            break
        assert len(page.items) == size
    assert pages == [row.id for row in whole.items]
    by_id = {row.id: row for row in whole.items}
    for index, (name, rating, time, site) in enumerate(rows):
        row = by_id[f"v{index}"]
        kept = (row.display_name, row.rating, row.last_order_time, row.site)
        assert kept == (name, rating, time, site)


def test_sums_of_decimals_are_exact(
    app: Application, admin: Principal, vendors: type[Repository[Any]]
) -> None:
    def work(ctx: Context) -> Decimal | None:
        for index in range(10):
            vendors(ctx).add(
                vendors.model(
                    id=f"v{index}", site="n", display_name="", email=str(index),
                    rating=Decimal("0.1"),
                )
            )  # fmt: skip
        return ctx.session.scalar(select(func.sum(vendors.model.rating)))

    assert app.run(admin, work) == Decimal(1)
