"""gateways, updates and commands."""

import sqlalchemy as sa
from alembic import op

revision = "fleet_0001"
down_revision = None
branch_labels = ("fleet",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fleet_enrolment_tokens",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("edge_node", sa.String(length=64), nullable=False),
        sa.Column("creator", sa.String(length=128), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("use_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("revoke_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_fleet_enrolment_tokens")),
        sa.UniqueConstraint(
            "organisation", "hash", name=op.f("uq_fleet_enrolment_tokens_organisation_hash")
        ),
    )
    with op.batch_alter_table("fleet_enrolment_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fleet_enrolment_tokens_site"), ["site"], unique=False)

    op.create_table(
        "fleet_gateways",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("edge_node", sa.String(length=64), nullable=False),
        sa.Column("group_name", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("certificate_serial", sa.String(length=64), nullable=False),
        sa.Column("certificate_expire_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enrol_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoke_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoke_reason", sa.Text(), nullable=False),
        sa.Column("last_seen_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("report", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_fleet_gateways")),
    )
    with op.batch_alter_table("fleet_gateways", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_fleet_gateways_group_name"), ["group_name"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_fleet_gateways_site"), ["site"], unique=False)
        batch_op.create_index(batch_op.f("ix_fleet_gateways_state"), ["state"], unique=False)

    op.create_table(
        "fleet_releases",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("released_version", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("publisher", sa.String(length=128), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_fleet_releases")),
    )
    with op.batch_alter_table("fleet_releases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fleet_releases_site"), ["site"], unique=False)
        batch_op.create_index("ix_fleet_releases_subject", ["kind", "subject"], unique=False)

    op.create_table(
        "fleet_rollouts",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("new_version", sa.String(length=64), nullable=False),
        sa.Column("previous_version", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("percent", sa.Float(), nullable=False),
        sa.Column("salt", sa.String(length=160), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stage_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_fleet_rollouts")),
    )
    with op.batch_alter_table("fleet_rollouts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fleet_rollouts_site"), ["site"], unique=False)
        batch_op.create_index(batch_op.f("ix_fleet_rollouts_state"), ["state"], unique=False)
        batch_op.create_index(
            "ix_fleet_rollouts_subject", ["kind", "subject", "state"], unique=False
        )

    op.create_table(
        "fleet_write_limits",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("metric", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("minimum", sa.Float(), nullable=True),
        sa.Column("maximum", sa.Float(), nullable=True),
        sa.Column("second_person", sa.Boolean(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_fleet_write_limits")),
        sa.UniqueConstraint(
            "organisation",
            "site",
            "device",
            "metric",
            name=op.f("uq_fleet_write_limits_organisation_site_device_metric"),
        ),
    )
    with op.batch_alter_table("fleet_write_limits", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fleet_write_limits_site"), ["site"], unique=False)

    op.create_table(
        "fleet_certificates",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "gateway_id"],
            ["fleet_gateways.organisation", "fleet_gateways.id"],
            name=op.f("fk_fleet_certificates_organisation_gateway_id"),
        ),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_fleet_certificates")),
    )
    with op.batch_alter_table("fleet_certificates", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fleet_certificates_site"), ["site"], unique=False)

    op.create_table(
        "fleet_commands",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("metric", sa.String(length=200), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("second_person", sa.Boolean(), nullable=False),
        sa.Column("proposer", sa.String(length=128), nullable=False),
        sa.Column("confirmer", sa.String(length=128), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirm_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("send_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome_reason", sa.Text(), nullable=False),
        sa.Column("outcome_value", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "gateway_id"],
            ["fleet_gateways.organisation", "fleet_gateways.id"],
            name=op.f("fk_fleet_commands_organisation_gateway_id"),
        ),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_fleet_commands")),
    )
    with op.batch_alter_table("fleet_commands", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_fleet_commands_gateway_id"), ["gateway_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_fleet_commands_site"), ["site"], unique=False)
        batch_op.create_index(batch_op.f("ix_fleet_commands_state"), ["state"], unique=False)

    op.create_table(
        "fleet_installations",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("installed_version", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("rollout_id", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heard_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("model", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "gateway_id"],
            ["fleet_gateways.organisation", "fleet_gateways.id"],
            name=op.f("fk_fleet_installations_organisation_gateway_id"),
        ),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_fleet_installations")),
    )
    with op.batch_alter_table("fleet_installations", schema=None) as batch_op:
        batch_op.create_index(
            "ix_fleet_installations_gateway",
            ["organisation", "gateway_id", "until_time"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_fleet_installations_site"), ["site"], unique=False)
        batch_op.create_index(
            "ix_fleet_installations_subject", ["kind", "subject", "installed_version"], unique=False
        )

    op.create_table(
        "fleet_rollout_steps",
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("rollout_id", sa.String(length=128), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("percent", sa.Float(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "rollout_id"],
            ["fleet_rollouts.organisation", "fleet_rollouts.id"],
            name=op.f("fk_fleet_rollout_steps_organisation_rollout_id"),
        ),
        sa.PrimaryKeyConstraint("organisation", "id", name=op.f("pk_fleet_rollout_steps")),
        sa.UniqueConstraint(
            "organisation",
            "rollout_id",
            "number",
            name=op.f("uq_fleet_rollout_steps_organisation_rollout_id_number"),
        ),
    )
    with op.batch_alter_table("fleet_rollout_steps", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fleet_rollout_steps_site"), ["site"], unique=False)
