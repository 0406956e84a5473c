"""users, sessions and tokens."""

import sqlalchemy as sa
from alembic import op

revision = "sign_in_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "sign_in_users",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("sites", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sign_in_users"),
    )
    op.create_table(
        "sign_in_sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sign_in_sessions"),
        sa.ForeignKeyConstraint(
            ["user_name"],
            ["sign_in_users.name"],
            name="fk_sign_in_sessions_user_name",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_sign_in_sessions_user_name", "sign_in_sessions", ["user_name"])
    op.create_index("ix_sign_in_sessions_expire_time", "sign_in_sessions", ["expire_time"])
    op.create_table(
        "sign_in_tokens",
        sa.Column("position", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=128), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_sign_in_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_sign_in_tokens_token_hash"),
        sa.ForeignKeyConstraint(
            ["user_name"],
            ["sign_in_users.name"],
            name="fk_sign_in_tokens_user_name",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_sign_in_tokens_user_name", "sign_in_tokens", ["user_name"])
