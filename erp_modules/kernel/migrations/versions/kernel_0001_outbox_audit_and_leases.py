"""outbox, audit and leases."""

import sqlalchemy as sa
from alembic import op

revision = "kernel_0001"
down_revision = None
branch_labels = ("kernel",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kernel_audit",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=192), nullable=False),
        sa.Column("resource", sa.String(length=256), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.String(length=64), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_kernel_audit")),
    )
    with op.batch_alter_table("kernel_audit", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_kernel_audit_organisation"), ["organisation"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_kernel_audit_principal"), ["principal"], unique=False)
        batch_op.create_index(batch_op.f("ix_kernel_audit_resource"), ["resource"], unique=False)

    op.create_table(
        "kernel_handled_events",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("handler", sa.String(length=192), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("handle_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "organisation", "handler", "event_id", name=op.f("pk_kernel_handled_events")
        ),
    )
    with op.batch_alter_table("kernel_handled_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_kernel_handled_events_state"), ["state"], unique=False)

    op.create_table(
        "kernel_leases",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("job", sa.String(length=192), nullable=False),
        sa.Column("due_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_count", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "job", name=op.f("pk_kernel_leases")),
    )
    op.create_table(
        "kernel_outbox",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=128), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("publish_time", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_kernel_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_kernel_outbox_event_id")),
    )
    with op.batch_alter_table("kernel_outbox", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_kernel_outbox_publish_time"), ["publish_time"], unique=False
        )

    op.create_table(
        "kernel_request_ids",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=192), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "organisation", "method", "principal", "request_id", name=op.f("pk_kernel_request_ids")
        ),
    )
    with op.batch_alter_table("kernel_request_ids", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_kernel_request_ids_create_time"), ["create_time"], unique=False
        )

    op.create_table(
        "kernel_secrets",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "name", name=op.f("pk_kernel_secrets")),
    )
