"""The tables of an outbox."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    func,
    inspect,
    select,
)

from hookline.core.status import STATES
from hookline.errors import OutboxError
from hookline.sqlalchemy.outbox.clock import Moment, now

PENDING, RUNNING, DONE, DEAD, CANCELLED = range(len(STATES))

_Number = BigInteger().with_variant(Integer, "sqlite")


class Outbox:
    """The tables in which deliveries wait, in the database of the data itself.

    Args:
        prefix: What the names of its tables begin with.
        schema: Where they are; None for where names without a schema go.
        metadata: Where to add them, such as an application's own, so that its migrations and its ``create_all()`` know
            them; one of its own if left out.
        notify: On PostgreSQL: whether a commit wakes workers. Without it they find deliveries by looking.

    Attributes:
        deliveries: One row per delivery.
        attempts: One row per attempt that failed.
        origins: One row: what the ids of this database's deliveries begin with.
        received: One row per delivery that came from another database, and was run here.

    Example:
        >>> outbox = Outbox()
        >>> sorted(outbox.metadata.tables)
        ['hookline_attempt', 'hookline_delivery', 'hookline_origin', 'hookline_received']
    """

    def __init__(
        self, prefix: str = "hookline_", *, schema: str | None = None, metadata: MetaData | None = None,
        notify: bool = True,
    ) -> None:  # fmt: skip
        self.prefix, self.schema, self.notify = prefix, schema, notify
        self.metadata = MetaData() if metadata is None else metadata
        self.deliveries = Table(
            f"{prefix}delivery",
            self.metadata,
            Column("id", _Number, Identity(), primary_key=True),
            Column("hook", String, nullable=False),
            Column("lane", String, nullable=False),
            Column("body", Text, nullable=False),
            Column("state", SmallInteger, nullable=False, server_default=str(PENDING)),
            Column("attempts", Integer, nullable=False, server_default="0"),
            Column("due_at", Moment, nullable=False, server_default=now()),
            Column("created_at", Moment, nullable=False, server_default=now()),
            Column("ended_at", Moment),
            Column("worker", String),
            Column("error", Text),
            schema=schema,
            sqlite_autoincrement=True,
        )
        c = self.deliveries.c
        unfinished = c.state <= RUNNING
        # A pending delivery is due when it may run; a running one, when its lease ends.
        Index(f"ix_{prefix}due", c.hook, c.due_at, c.id, postgresql_where=unfinished, sqlite_where=unfinished)
        Index(f"ix_{prefix}lane", c.hook, c.lane, c.id, postgresql_where=unfinished, sqlite_where=unfinished)
        self.attempts = Table(
            f"{prefix}attempt",
            self.metadata,
            Column("id", _Number, Identity(), primary_key=True),
            Column("delivery", _Number, ForeignKey(c.id, ondelete="CASCADE"), nullable=False, index=True),
            Column("number", Integer, nullable=False),
            Column("worker", String),
            Column("ended_at", Moment, nullable=False, server_default=now()),
            Column("error", Text, nullable=False),
            schema=schema,
        )
        self.origins = Table(
            f"{prefix}origin",
            self.metadata,
            Column("one", Integer, primary_key=True, autoincrement=False),
            Column("origin", String, nullable=False),
            schema=schema,
        )
        self.received = Table(
            f"{prefix}received",
            self.metadata,
            Column("id", String, primary_key=True),
            Column("hook", String, nullable=False),
            Column("received_at", Moment, nullable=False, server_default=now(), index=True),
            schema=schema,
        )

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them."""
        return self.deliveries, self.attempts, self.origins, self.received

    @property
    def channel(self) -> str:
        """On PostgreSQL: where commits call for workers."""
        return f"{self.prefix}delivery"

    def call(self, connection: Connection) -> None:
        """On PostgreSQL: wake workers when the transaction is committed."""
        if self.notify and connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_notify(self.channel, "")))

    def create_tables(self, bind: Engine | Connection) -> None:
        """Make the tables that are not there yet; for those that use no migrations."""
        self.metadata.create_all(bind, tables=list(self.tables))

    def check(self, bind: Engine | Connection) -> None:
        """Make sure that the tables are there and have the columns that they should.

        Raises:
            OutboxError: They are missing or outdated; it says what to do.
        """
        there = inspect(bind)
        missing: list[str] = []
        for table in self.tables:
            if not there.has_table(table.name, schema=table.schema):
                missing.append(f"the table {table.fullname}")
                continue
            known = {column["name"] for column in there.get_columns(table.name, schema=table.schema)}
            missing += [
                f"the column {table.fullname}.{name}" for name in (one.name for one in table.c) if name not in known
            ]
        if missing:
            raise OutboxError(
                f"There are durable hooks, but their outbox is not ready: {', '.join(missing)} missing. "
                f"Run outbox.create_tables(engine), or a migration that makes the tables of outbox.metadata, "
                f"where outbox = hookline.sqlalchemy.Outbox() or what was given to attach(..., outbox=outbox)."
            )
