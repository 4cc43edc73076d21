"""The schema. The document is the job; the columns beside it are what jobs are searched and owned by."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
)

#: The migration that makes this schema. Known here, so that an up-to-date database starts without Alembic.
HEAD = "0005"

#: Text that is compared byte by byte, as SQLite and Python do it. PostgreSQL would ask the database's language.
Key = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("id", Key, primary_key=True),
    Column("status", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("error_code", Text),
    Column("revision", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
    # Whose the job is: `owner` may write, if it knows the `fence`.
    Column("owner", Text),
    Column("fence", Integer, nullable=False, server_default="1"),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    # Who asked: see `protocols.Origin`.
    Column("scope", Text, nullable=False, server_default=""),
    Column("fingerprint", Text),
    Column("caller", Text, nullable=False, server_default="answered"),
    Column("joined_retry", Integer, nullable=False, server_default="0"),
    # The number of the key's budget period that it counts in: see `keys.Account`.
    Column("budget_period", Integer, nullable=False, server_default="0"),
    # Whether it counts among the jobs of its key that are under way: see `KeyStore.take_seat`.
    Column("seated", Boolean, nullable=False, server_default=false()),
)

#: The processes that own jobs. Times are Unix seconds on the database's own clock. Empty in an embedded database,
#: where a lock on the file says who lives.
replicas = Table(
    "replicas",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_at", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
)

#: Which job was made with which `Idempotency-Key`. Goes when the job goes.
idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key_hash", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("fingerprint", Text),
    Column("created_at", Double, nullable=False),
)

#: The books: `taxiway.ledger.Entry`, and the money in micro-USD beside the credits.
ledger = Table(
    "ledger",
    metadata,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), Identity(always=True), primary_key=True
    ),
    Column("job_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("day", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reserved_credits", Integer, nullable=False),
    Column("charged_credits", Integer),
    Column("reserved_microusd", BigInteger, nullable=False),
    Column("charged_microusd", BigInteger),
    Column("source", Text),
    Column("exact", Boolean, nullable=False),
    Column("model", Text, nullable=False),
    Column("upstream_model", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("upstream_id", Text),
    Column("key_id", Text, nullable=False),
)

#: Virtual keys. The document is the key; beside it is what keys are searched by, and what their jobs have cost.
keys = Table(
    "keys",
    metadata,
    Column("id", Key, primary_key=True),
    # Of the secret: see `taxiway.keyring`.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("alias", Key, unique=True),
    Column("user_id", Text),
    Column("team_id", Text),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("blocked", Boolean, nullable=False),
    Column("deleted_at", Double),
    Column("document", LargeBinary, nullable=False),
    Column("period", Integer, nullable=False),
    Column("resets_at", Double),
    Column("spent_microusd", BigInteger, nullable=False),
    Column("reserved_microusd", BigInteger, nullable=False),
    Column("total_microusd", BigInteger, nullable=False),
    Column("last_active_at", Double),
)

#: Random bytes that are made once and then stay, by what they are for.
seeds = Table(
    "seeds",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

#: Whom to tell of a job's end: `taxiway.deliveries.Delivery`. Goes when the job goes.
deliveries = Table(
    "deliveries",
    metadata,
    Column("job_id", Key, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    Column("event", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("secret", Text),
    Column("created_at", Double, nullable=False),
    Column("due_at", Double),
    Column("status", Text, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("claim", Integer, nullable=False, server_default="0"),
    Column("log", Text, nullable=False, server_default="[]"),
)
