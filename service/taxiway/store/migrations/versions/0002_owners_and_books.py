"""Whose a job is, who asked for it, and the books. Adds only: the release before goes on beside this one."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    extend_jobs()
    op.create_table(
        "replicas",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
    )
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("key_hash", sa.Text(), primary_key=True),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
    )
    op.create_index("idempotency_by_job", "idempotency", ["job_id"])
    create_ledger()


def extend_jobs() -> None:
    for column in (
        sa.Column("owner", sa.Text()),
        sa.Column("fence", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("scope", sa.Text(), nullable=False, server_default=""),
        sa.Column("fingerprint", sa.Text()),
        sa.Column("caller", sa.Text(), nullable=False, server_default="answered"),
        sa.Column("joined_retry", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("jobs", column)
    op.create_index(
        "jobs_to_cancel",
        "jobs",
        ["owner"],
        sqlite_where=sa.text("cancel_requested = 1"),
        postgresql_where=sa.text("cancel_requested"),
    )
    op.create_index(
        "jobs_by_fingerprint",
        "jobs",
        ["scope", "fingerprint", "created_at"],
        sqlite_where=sa.text("fingerprint IS NOT NULL"),
        postgresql_where=sa.text("fingerprint IS NOT NULL"),
    )


def create_ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=True),
            primary_key=True,
        ),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reserved_credits", sa.Integer(), nullable=False),
        sa.Column("charged_credits", sa.Integer()),
        sa.Column("reserved_microusd", sa.BigInteger(), nullable=False),
        sa.Column("charged_microusd", sa.BigInteger()),
        sa.Column("source", sa.Text()),
        sa.Column("exact", sa.Boolean(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("upstream_model", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("upstream_id", sa.Text()),
        sa.Column("key_id", sa.Text(), nullable=False),
    )
    op.create_index("ledger_by_date", "ledger", ["at"])
