"""equipment alarms and tickets."""

import sqlalchemy as sa
from alembic import op

revision = "maintenance_0001"
down_revision = None
branch_labels = ("maintenance",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "maintenance_alarms",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("advisory_id", sa.String(length=192), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("equipment", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("acknowledged", sa.Boolean(), nullable=False),
        sa.Column("out_of_service", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("failure_mode", sa.String(length=32), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.String(length=128), nullable=False),
        sa.Column("ticket_withheld", sa.Boolean(), nullable=False),
        sa.Column("advisory", sa.LargeBinary(), nullable=False),
        sa.Column("raise_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clear_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledge_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=128), nullable=False),
        sa.Column("shelve_reason", sa.Text(), nullable=False),
        sa.Column("shelve_expire_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("causing_sent_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_maintenance_alarms")),
    )
    with op.batch_alter_table("maintenance_alarms", schema=None) as batch_op:
        batch_op.create_index(
            "ix_maintenance_alarms_equipment_state", ["site", "equipment", "state"], unique=False
        )
        batch_op.create_index(
            "ix_maintenance_alarms_shelving", ["state", "shelve_expire_time"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_maintenance_alarms_site"), ["site"], unique=False)

    op.create_table(
        "maintenance_counters",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organisation", "site", "name", name=op.f("pk_maintenance_counters")
        ),
    )
    op.create_table(
        "maintenance_equipment",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("equipment_class", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("criticality", sa.Integer(), nullable=False),
        sa.Column("discovered", sa.Boolean(), nullable=False),
        sa.Column("health", sa.Float(), nullable=False),
        sa.Column("health_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_maintenance_equipment")),
        sa.UniqueConstraint(
            "organisation",
            "site",
            "tag",
            name=op.f("uq_maintenance_equipment_organisation_site_tag"),
        ),
    )
    with op.batch_alter_table("maintenance_equipment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_maintenance_equipment_site"), ["site"], unique=False)

    op.create_table(
        "maintenance_tickets",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("equipment", sa.String(length=64), nullable=False),
        sa.Column("equipment_class", sa.String(length=64), nullable=False),
        sa.Column("alarm_id", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("failure_mode", sa.String(length=32), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("suggested_steps", sa.JSON(), nullable=False),
        sa.Column("assignee", sa.String(length=128), nullable=False),
        sa.Column("hold_reason", sa.Text(), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("found_failure_mode", sa.String(length=32), nullable=False),
        sa.Column("scheduled_start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("complete_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("close_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hold_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_ms", sa.BigInteger(), nullable=False),
        sa.Column("advisory", sa.LargeBinary(), nullable=True),
        sa.Column("advisory_count", sa.Integer(), nullable=False),
        sa.Column("history_count", sa.Integer(), nullable=False),
        sa.Column("causing_sent_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_maintenance_tickets")),
        sa.UniqueConstraint(
            "organisation",
            "site",
            "number",
            name=op.f("uq_maintenance_tickets_organisation_site_number"),
        ),
    )
    with op.batch_alter_table("maintenance_tickets", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_maintenance_tickets_assignee"), ["assignee"], unique=False
        )
        batch_op.create_index(
            "ix_maintenance_tickets_equipment_state", ["site", "equipment", "state"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_maintenance_tickets_site"), ["site"], unique=False)
        batch_op.create_index(batch_op.f("ix_maintenance_tickets_state"), ["state"], unique=False)

    op.create_table(
        "maintenance_ticket_comments",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("ticket_id", sa.String(length=128), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "ticket_id"],
            ["maintenance_tickets.organisation", "maintenance_tickets.id"],
            name=op.f("fk_maintenance_ticket_comments_organisation_ticket_id"),
        ),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_maintenance_ticket_comments")),
    )
    with op.batch_alter_table("maintenance_ticket_comments", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_maintenance_ticket_comments_site"), ["site"], unique=False
        )
        batch_op.create_index(
            "ix_maintenance_ticket_comments_ticket",
            ["organisation", "ticket_id", "create_time"],
            unique=False,
        )

    op.create_table(
        "maintenance_ticket_events",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("ticket_id", sa.String(length=128), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("from_state", sa.String(length=32), nullable=False),
        sa.Column("to_state", sa.String(length=32), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "ticket_id"],
            ["maintenance_tickets.organisation", "maintenance_tickets.id"],
            name=op.f("fk_maintenance_ticket_events_organisation_ticket_id"),
        ),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_maintenance_ticket_events")),
        sa.UniqueConstraint(
            "organisation",
            "ticket_id",
            "sequence",
            name=op.f("uq_maintenance_ticket_events_organisation_ticket_id_sequence"),
        ),
    )
    with op.batch_alter_table("maintenance_ticket_events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_maintenance_ticket_events_site"), ["site"], unique=False
        )
