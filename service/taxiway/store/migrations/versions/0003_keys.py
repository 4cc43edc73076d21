"""Virtual keys and their budgets. Adds only: the release before goes on beside this one, and knows no keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("budget_period", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "jobs", sa.Column("seated", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index(
        "jobs_seated",
        "jobs",
        ["scope"],
        sqlite_where=sa.text("seated = 1 AND finished_at IS NULL"),
        postgresql_where=sa.text("seated AND finished_at IS NULL"),
    )
    op.create_index("jobs_by_scope", "jobs", ["scope", "created_at", "id"])
    op.create_table(
        "keys",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("alias", KEY, unique=True),
        sa.Column("user_id", sa.Text()),
        sa.Column("team_id", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", sa.Double()),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("resets_at", sa.Double()),
        sa.Column("spent_microusd", sa.BigInteger(), nullable=False),
        sa.Column("reserved_microusd", sa.BigInteger(), nullable=False),
        sa.Column("total_microusd", sa.BigInteger(), nullable=False),
        sa.Column("last_active_at", sa.Double()),
    )
    op.create_table(
        "seeds",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
    )
