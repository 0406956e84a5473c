"""letters, steps and runs."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "dead_letters_0001"
down_revision = None
branch_labels = None
depends_on = None


def _resource() -> list[sa.Column[Any]]:
    return [
        sa.Column("organisation", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
    ]


def _times() -> list[sa.Column[Any]]:
    return [
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def _indices(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column])


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "dead_letters",
        *_resource(),
        sa.Column("stream_sequence", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("edge_node", sa.Text(), nullable=False),
        sa.Column("equipment", sa.Text(), nullable=False),
        sa.Column("log_sequence", sa.BigInteger(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("receive_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("replay_of", sa.String(length=128), nullable=False),
        *_times(),
        sa.PrimaryKeyConstraint("organisation", "id", name="pk_dead_letters"),
    )
    _indices("dead_letters", "site", "stream_sequence", "reason", "log_sequence", "state")
    op.create_table(
        "dead_letter_steps",
        *_resource(),
        sa.Column("letter_id", sa.String(length=128), nullable=False),
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("original", sa.LargeBinary(), nullable=True),
        sa.Column("changes", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("outcome_detail", sa.Text(), nullable=False),
        sa.Column("log_sequence", sa.BigInteger(), nullable=False),
        sa.Column("next_id", sa.String(length=128), nullable=False),
        *_times(),
        sa.PrimaryKeyConstraint("organisation", "id", name="pk_dead_letter_steps"),
    )
    _indices("dead_letter_steps", "site", "letter_id", "outcome", "log_sequence")
    op.create_table(
        "dead_letter_runs",
        *_resource(),
        sa.Column("principal", sa.String(length=128), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("rate", sa.Integer(), nullable=False),
        sa.Column("discard", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("skip_detail", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("bound", sa.BigInteger(), nullable=False),
        *_times(),
        sa.PrimaryKeyConstraint("organisation", "id", name="pk_dead_letter_runs"),
    )
    _indices("dead_letter_runs", "site", "state")
