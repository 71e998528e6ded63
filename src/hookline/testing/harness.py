"""What an adapter brings to the conformance suite: its sessions, its models, and a few verbs."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, TypeVar

from hookline import Hooks, Transaction

T = TypeVar("T")
Key = Any
"""A primary key: the value itself for one column, a tuple of values for several."""


class Models(Protocol):
    """The small known schema, as the adapter's own model classes.

    Every class takes its values by keyword, and may be given `id` explicitly.

    | class | values | relations |
    |---|---|---|
    | `Person` | `id` (by the database), `name`, `age` (0 by default) | `boss` (to `Person`, other side `staff`), `employer` (to `Company`, other side `employees`), `tags` (many-to-many, other side `people`), `friends` (many-to-many to `Person`, one-sided) |
    | `Company` | `id`, `name` | `employees` |
    | `Tag` | `id`, `label` | `people` |
    | `Order` | `id`, `status` (`"new"`, by the database) | `customer` (to `Person`, one-sided), `lines` (deleted with the order, and when taken out of it) |
    | `Line` | `id`, `sku`, `quantity` (1 by default) | `order` (required, other side `lines`) |

    Deleting a person leaves the staff without boss, and takes the tags and friendships away.
    """  # noqa: E501 - a table

    @property
    def Person(self) -> Any: ...
    @property
    def Company(self) -> Any: ...
    @property
    def Tag(self) -> Any: ...
    @property
    def Order(self) -> Any: ...
    @property
    def Line(self) -> Any: ...


class Savepoint(Protocol):
    """An open savepoint. Leaving its block releases it, unless it was rolled back."""

    async def rollback(self) -> None:
        """Undo all that was written since the savepoint. The block then only ends."""
        ...


class Session(Protocol):
    """The verbs the suite needs, over one session (unit of work, connection) of the adapter's library.

    A synchronous library returns ready values from these coroutines: they never suspend.
    """

    @property
    def raw(self) -> Any:
        """The library's own session."""
        ...

    async def get(self, model: type[T], key: Key) -> T:
        """Load the entity of that key. It exists."""
        ...

    async def add(self, *entities: object) -> None:
        """Give new entities to the session, to be written by the next flush."""
        ...

    async def set(self, entity: object, **values: object) -> None:
        """Set attributes that hold values, to be written by the next flush."""
        ...

    async def link(self, subject: object, relation: str, target: object) -> None:
        """Set the link: assign the attribute if it is to-one, append to the collection if not."""
        ...

    async def unlink(self, subject: object, relation: str, target: object) -> None:
        """Take the link away: assign None to a to-one attribute, remove from a collection."""
        ...

    async def link_by_key(self, subject: object, relation: str, key: Key | None) -> None:
        """Set a to-one link by its foreign key column. None takes it away."""
        ...

    async def delete(self, entity: object) -> None:
        """Delete the entity at the next flush."""
        ...

    async def flush(self) -> None:
        """Write what is pending."""
        ...

    async def commit(self) -> None:
        """Write what is pending and commit the transaction."""
        ...

    async def rollback(self) -> None:
        """Roll the whole transaction back."""
        ...

    def savepoint(self) -> AbstractAsyncContextManager[Savepoint]:
        """A savepoint around the block. An exception that leaves the block rolls it back."""
        ...

    def transaction(self) -> Transaction:
        """The Hookline transaction that is open in this session."""
        ...


class Harness(Protocol):
    """One adapter on one database, in one colour (sync or async).

    The fixture named `harness`, written by the adapter, returns it; see
    [hookline.testing.conformance][].
    """

    @property
    def models(self) -> Models:
        """The schema's classes. Their tables exist."""
        ...

    @property
    def is_async(self) -> bool:
        """Whether sessions are async."""
        ...

    @property
    def has_async_hooks(self) -> bool:
        """Whether the suite's hooks shall be async functions. Only where sessions are async."""
        ...

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one test. [hookline.testing.drive][] does for a synchronous adapter."""
        ...

    def attach(self, hooks: Hooks, **options: Any) -> AbstractContextManager[object]:
        """Attach the rule book to the sessions that `open()` gives, until the block ends."""
        ...

    def open(self, *, attached: bool = True) -> AbstractAsyncContextManager[Session]:
        """A new session, closed (and rolled back) at the end of the block."""
        ...

    def wrap(self, session: Any) -> Session:
        """The same verbs over the session that a hook was given."""
        ...

    def key(self, entity: object) -> Key:
        """The entity's primary key, also after its session has ended."""
        ...

    async def clear(self) -> None:
        """Empty all tables."""
        ...

    async def rows(self, model: type) -> Mapping[Key, Mapping[str, Any]]:
        """The committed rows, by key and attribute name, read through a connection of its own."""
        ...

    async def links(self, model: type, relation: str) -> frozenset[tuple[Key, Key]]:
        """The committed links as (subject key, object key), read through a connection of its own."""
        ...

    def fail_commit(self) -> AbstractContextManager[object]:
        """Make COMMIT itself raise inside the block; the database then has rolled back."""
        ...

    def lose_connection_on_commit(self, *, arrived: bool) -> AbstractContextManager[object] | None:
        """Cut the connection during COMMIT inside the block.

        Args:
            arrived: Whether the database carries the commit out before the connection is cut.

        Returns:
            None if this database has no connection that could be lost.
        """
        ...

    def statements(self) -> AbstractContextManager[list[str]]:
        """The texts of the statements that sessions of this harness send inside the block."""
        ...
