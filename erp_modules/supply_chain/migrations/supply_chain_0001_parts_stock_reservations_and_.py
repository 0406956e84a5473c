"""parts stock reservations and requisitions."""

import sqlalchemy as sa
from alembic import op

revision = "supply_chain_0001"
down_revision = None
branch_labels = ("supply_chain",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "supply_chain_bins",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_supply_chain_bins")),
    )
    with op.batch_alter_table("supply_chain_bins", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_supply_chain_bins_site"), ["site"], unique=False)

    op.create_table(
        "supply_chain_counters",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organisation", "site", "name", name=op.f("pk_supply_chain_counters")
        ),
    )
    op.create_table(
        "supply_chain_parts",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("part_number", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("reorder_point", sa.BigInteger(), nullable=False),
        sa.Column("reorder_quantity", sa.BigInteger(), nullable=False),
        sa.Column("price_currency", sa.String(length=3), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("lead_time_days", sa.Integer(), nullable=False),
        sa.Column("preferred_vendor", sa.String(length=128), nullable=False),
        sa.Column("default_bin", sa.String(length=128), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_supply_chain_parts")),
        sa.UniqueConstraint(
            "organisation",
            "site",
            "part_number",
            name=op.f("uq_supply_chain_parts_organisation_site_part_number"),
        ),
    )
    with op.batch_alter_table("supply_chain_parts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_supply_chain_parts_site"), ["site"], unique=False)

    op.create_table(
        "supply_chain_settled_tickets",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("ticket", sa.String(length=160), nullable=False),
        sa.Column("consumed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organisation", "ticket", name=op.f("pk_supply_chain_settled_tickets")
        ),
    )
    op.create_table(
        "supply_chain_vendors",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("display_name", sa.String(length=256), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("currency_code", sa.String(length=3), nullable=False),
        sa.Column("lead_time_days", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_supply_chain_vendors")),
        sa.UniqueConstraint(
            "organisation",
            "site",
            "display_name",
            name=op.f("uq_supply_chain_vendors_organisation_site_display_name"),
        ),
    )
    with op.batch_alter_table("supply_chain_vendors", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_supply_chain_vendors_site"), ["site"], unique=False)

    op.create_table(
        "supply_chain_requisitions",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("part_id", sa.String(length=128), nullable=False),
        sa.Column("vendor_id", sa.String(length=128), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("cost_currency", sa.String(length=3), nullable=False),
        sa.Column("estimated_cost", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("need_by_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("causing_sent_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "part_id"],
            ["supply_chain_parts.organisation", "supply_chain_parts.id"],
            name=op.f("fk_supply_chain_requisitions_organisation_part_id"),
        ),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_supply_chain_requisitions")),
        sa.UniqueConstraint(
            "organisation",
            "site",
            "number",
            name=op.f("uq_supply_chain_requisitions_organisation_site_number"),
        ),
    )
    with op.batch_alter_table("supply_chain_requisitions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_supply_chain_requisitions_site"), ["site"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_supply_chain_requisitions_state"), ["state"], unique=False
        )
        batch_op.create_index(
            "uq_supply_chain_requisitions_requested",
            ["organisation", "part_id"],
            unique=True,
            sqlite_where=sa.text("state = 'REQUESTED'"),
            postgresql_where=sa.text("state = 'REQUESTED'"),
        )

    op.create_table(
        "supply_chain_reservations",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("ticket", sa.String(length=160), nullable=False),
        sa.Column("equipment", sa.String(length=64), nullable=False),
        sa.Column("part_id", sa.String(length=128), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("reserved_quantity", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("causing_sent_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "part_id"],
            ["supply_chain_parts.organisation", "supply_chain_parts.id"],
            name=op.f("fk_supply_chain_reservations_organisation_part_id"),
        ),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_supply_chain_reservations")),
    )
    with op.batch_alter_table("supply_chain_reservations", schema=None) as batch_op:
        batch_op.create_index(
            "ix_supply_chain_reservations_part", ["organisation", "part_id", "state"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_supply_chain_reservations_site"), ["site"], unique=False
        )
        batch_op.create_index(
            "ix_supply_chain_reservations_ticket", ["organisation", "ticket"], unique=False
        )

    op.create_table(
        "supply_chain_spares",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("equipment", sa.String(length=64), nullable=False),
        sa.Column("equipment_class", sa.String(length=64), nullable=False),
        sa.Column("failure_mode", sa.String(length=32), nullable=False),
        sa.Column("part_id", sa.String(length=128), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "part_id"],
            ["supply_chain_parts.organisation", "supply_chain_parts.id"],
            name=op.f("fk_supply_chain_spares_organisation_part_id"),
        ),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_supply_chain_spares")),
    )
    with op.batch_alter_table("supply_chain_spares", schema=None) as batch_op:
        batch_op.create_index(
            "ix_supply_chain_spares_need", ["site", "failure_mode", "equipment_class"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_supply_chain_spares_site"), ["site"], unique=False)

    op.create_table(
        "supply_chain_stock_movements",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("part_id", sa.String(length=128), nullable=False),
        sa.Column("bin_id", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("cost_currency", sa.String(length=3), nullable=False),
        sa.Column("unit_cost", sa.BigInteger(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "part_id"],
            ["supply_chain_parts.organisation", "supply_chain_parts.id"],
            name=op.f("fk_supply_chain_stock_movements_organisation_part_id"),
        ),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_supply_chain_stock_movements")),
    )
    with op.batch_alter_table("supply_chain_stock_movements", schema=None) as batch_op:
        batch_op.create_index(
            "ix_supply_chain_stock_movements_balance",
            ["organisation", "part_id", "bin_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_supply_chain_stock_movements_site"), ["site"], unique=False
        )
