"""The door itself: which statements are followed, and when their hooks run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import Connection, Delete, Insert, Update
from sqlalchemy.orm import Mapper, ORMExecuteState
from sqlalchemy.sql.base import Executable

from hookline.core.run import Steps
from hookline.sqlalchemy.guard import kept_open
from hookline.sqlalchemy.statements.bulk import is_listed
from hookline.sqlalchemy.statements.insert import Insertion
from hookline.sqlalchemy.statements.listed import execute_listed
from hookline.sqlalchemy.statements.pairs import Pairs
from hookline.sqlalchemy.statements.returning import without_last
from hookline.sqlalchemy.statements.selected import SelectInsertion
from hookline.sqlalchemy.statements.unfollowed import Unfollowable, check_translation, go_around, go_around_names
from hookline.sqlalchemy.statements.update import Alteration
from hookline.sqlalchemy.statements.upsert import Upsertion
from hookline.sqlalchemy.statements.write import StatementWrite

if TYPE_CHECKING:
    from hookline.sqlalchemy.constraints import Engines
    from hookline.sqlalchemy.host import SessionHost
    from hookline.sqlalchemy.statements.subject import Subject
    from hookline.sqlalchemy.writing import Write

Parameters = Mapping[str, Any]
Sent = tuple[Executable, Sequence[Parameters], Parameters]


class Followed(Protocol):
    """A statement with its hooks."""

    write: StatementWrite
    statement: Any
    parameters: list[Parameters]

    def before(self, connection: Connection) -> Steps[None]:
        """Find out what it is going to do, run `before` and `check`, and put edits into it."""

    def after(self, result: Any) -> None:
        """It was sent, with this result: keep what was written."""

    @property
    def extra(self) -> int:
        """How many columns at the end of the ORM's result were asked for on behalf of hooks."""


class StatementDoor:
    """Runs hooks around the statements of one attachment's sessions.

    Args:
        drive: Runs steps in a session.
        engines: Told what is being sent, for errors.
    """

    def __init__(self, drive: Callable[[SessionHost, Steps[None]], None], engines: Engines) -> None:
        self._drive, self._engines = drive, engines

    # -- what goes through a connection

    def before_execute(
        self, host: SessionHost, connection: Connection, statement: Any, several: Any, one: Any, options: Any
    ) -> Sent:
        """A statement is going to be sent."""
        if isinstance(statement, (Update, Delete, Insert)) and options.get("hookline", True):
            followed = self._followed(host, connection, statement, list(several) or [one], options)
            if followed is not None:
                host.sending.append((followed.statement, followed))
                if followed.statement is not statement:
                    followed.statement.__dict__[_BEFORE] = statement, followed.write.edited
                self._engines.sending(followed.write)
                sets = followed.parameters
                return (followed.statement, sets, {}) if len(sets) > 1 else (followed.statement, [], sets[0])
        return statement, several, one

    def after_execute(self, host: SessionHost, statement: Any, result: Any) -> None:
        """A statement was sent."""
        if all(_edited_since(sent, statement) is None for sent, _ in host.sending):
            return  # somebody else's, sent before it: what the hooks of another rule book read
        self._engines.sending(None)
        while host.sending:
            sent, followed = host.sending.pop()
            edited = _edited_since(sent, statement)
            if edited is None:  # it failed
                followed.write.give_up()
            else:
                if edited:
                    followed.write.doubt()
                followed.after(result)
                if host.collecting is not None:
                    host.collecting.append(followed)
                else:
                    self.finish(host, [followed.write])
                return

    def clear(self, host: SessionHost) -> None:
        """A transaction or savepoint is over: statements that were being sent have failed."""
        while host.sending:
            host.sending.pop()[1].write.give_up()
        self._engines.sending(None)  # nor is it kept, with the objects that hooks have seen of it

    def _followed(
        self, host: SessionHost, connection: Connection, statement: Any, parameters: list[Parameters], options: Any
    ) -> Followed | None:
        if host.muted:
            return None
        concerns = host.schema.concerns(host.plan)
        subject = concerns.subjects.of_statement(statement)
        if host.flushing and _is_of_flush(statement, options, subject):
            return None
        if subject is None:
            if not concerns.subjects.is_mapped(statement.table):
                go_around_names(host, connection, statement)
            return None
        orm = statement._propagate_attrs.get("plugin_subject")
        mapper: Mapper[Any] | None = subject.mapper if orm is None else orm.mapper
        door = "Core statement" if orm is None else "ORM bulk"
        try:
            check_translation(connection, options)
            followed = _make(host, door, statement, parameters, mapper, subject)
            self.prepare(host, followed.write, followed.before(connection))
        except Unfollowable as reason:
            go_around(host, connection, statement, reason)
            return None
        return followed

    # -- what goes through the ORM

    def concerned(self, host: SessionHost, statement: Any) -> bool:
        """Whether a statement of the ORM that writes may concern hooks; one of Core is looked at when it is sent."""
        if statement._propagate_attrs.get("compile_state_plugin") != "orm":
            return False
        table = getattr(statement, "table", None)
        entity = None if table is None else table._annotations.get("parententity")
        if entity is None or len(entity.mapper.tables) > 1:
            return True
        subjects = host.schema.concerns(host.plan).subjects
        return not subjects.is_mapped(table) or subjects.of_statement(statement) is not None

    def orm_execute(self, host: SessionHost, state: ORMExecuteState) -> Any:
        """A statement of the ORM: `after` hooks wait until the session's objects are synchronized."""
        upsert = getattr(state.statement, "_post_values_clause", None) is not None
        if is_listed(state.statement, state.execution_options) and not upsert:
            try:
                return execute_listed(self, host, state)
            except Unfollowable:  # then its statements are looked at one by one
                pass
        with collected(host) as sent:
            result = state.invoke_statement()
        if not sent:
            return result
        for followed in sent:
            followed.write.synchronize()
            result = without_last(result, followed.extra)
        self.finish(host, [followed.write for followed in sent])
        return result

    @contextmanager
    def muted(self, host: SessionHost, write: StatementWrite) -> Iterator[None]:
        """For the time of a block, statements are part of something that is followed already."""
        before, host.muted = host.muted, True
        self._engines.sending(write)
        try:
            with host.session.no_autoflush:  # what hooks have made pending comes after the statement
                yield
            write.doubt_others()
        except BaseException:  # whatever stopped it, nothing of it was written
            write.give_up()
            raise
        finally:
            host.muted = before
            self._engines.sending(None)

    def prepare(self, host: SessionHost, write: StatementWrite, steps: Steps[None]) -> None:
        """Run what comes before a statement is sent."""
        try:
            self._run(host, steps)
        except BaseException:  # whatever stopped it, nothing is sent
            write.give_up()
            raise

    def _run(self, host: SessionHost, steps: Steps[None]) -> None:
        with kept_open(host):
            self._drive(host, steps)

    def finish(self, host: SessionHost, sent: Sequence[Write]) -> None:
        """Run what comes after statements were sent, then flush what it wrote."""
        for write in sent:
            self._run(host, write.after())
        if host.stir.origins and not host.session._flushing:
            host.flush()


@contextmanager
def collected(host: SessionHost) -> Iterator[list[Followed]]:
    """For the time of a block, keep the statements that were sent for later."""
    before, host.collecting = host.collecting, []
    try:
        yield host.collecting
    finally:
        host.collecting = before


def _make(
    host: SessionHost, door: str, statement: Any, parameters: list[Parameters], mapper: Mapper[Any] | None,
    subject: Subject,
) -> Followed:  # fmt: skip
    if mapper is None or subject.mapper is None:
        return Pairs(host, door, statement, parameters, subject)
    if subject.relations:
        raise Unfollowable(
            f"{subject.table.name} is the table of {mapper.class_.__name__} and the secondary one of others"
        )
    if isinstance(statement, Insert):
        kind = Insertion if statement.select is None else SelectInsertion
        if statement._post_values_clause is not None:
            kind = Upsertion
        return kind(host, door, statement, parameters, mapper, subject.table)
    return Alteration(host, door, statement, parameters, mapper, subject.table)


def _is_of_flush(statement: Any, options: Any, subject: Subject | None) -> bool:
    """Whether it is the flush's own statement, not one that a listener sends in the middle of it.

    Those on tables of classes have a cache of their own; those on secondary tables have nothing to be told by.
    """
    if options.get("compiled_cache") is not None:
        return True
    return not statement._propagate_attrs and (subject is None or subject.mapper is None or bool(subject.relations))


_BEFORE: Final = "_hookline_before"
"""Where a statement that was changed on behalf of hooks keeps what it was, and whether they edited rows."""


def _edited_since(one: Any, statement: Any) -> bool | None:
    """Whether hooks of further rule books have edited rows of a statement; None if the other was not made of it."""
    any_edited = False
    while statement is not one:
        statement, edited = getattr(statement, _BEFORE, (None, False))
        if statement is None:
            return None
        any_edited = any_edited or edited
    return any_edited
