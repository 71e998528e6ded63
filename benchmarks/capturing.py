"""Writing a table whose writes triggers capture, against writing it alone; both up to their COMMIT.

Statements whose rows the server makes by itself leave the triggers nowhere to hide; rows sent by SQLAlchemy are what
programs do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks.result import Result, ratio
from benchmarks.timing import Case, Load, Timed, interleave
from hookline.sqlalchemy import capture

BUDGET = 1.6
ALONE, CAPTURED = "without triggers", "captured"


class Base(DeclarativeBase):
    """Tables of their own, so that nothing is captured elsewhere."""


class Columns:
    """A table of usual width."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    city: Mapped[str]
    street: Mapped[str | None]
    age: Mapped[int]
    member: Mapped[bool]


class Uncaptured(Columns, Base):
    """Written alone."""

    __tablename__ = "uncaptured"


class Captured(Columns, Base):
    """Written under triggers."""

    __tablename__ = "captured"


CAPTURE = capture(Captured)
Writing = Callable[[Connection, type[Base], int], object]


def measure(engine: Engine, load: Load) -> Iterator[Result]:
    """Rows made by the server, rows updated by it, and rows sent."""
    rows = 5 * load.objects
    Base.metadata.create_all(engine)
    CAPTURE.install(engine)
    for what, write, is_stocked in (
        ("INSERT .. SELECT", _generate, False),
        ("UPDATE .. SET", _increase, True),
        ("insert(Model), [dicts]", _send, False),
    ):
        cases = {
            name: _case(engine, model, write, rows, is_stocked=is_stocked)
            for name, model in ((ALONE, Uncaptured), (CAPTURED, Captured))
        }
        times, where = interleave(cases, load), engine.dialect.name
        yield ratio(times, CAPTURED, ALONE, what=f"capture: {what}, {rows:,} rows", where=where, budget=BUDGET)
    with engine.begin() as connection:
        _clear(connection)


def _case(engine: Engine, model: type[Base], write: Writing, rows: int, *, is_stocked: bool) -> Case:
    @contextmanager
    def case() -> Iterator[Timed]:
        with engine.begin() as connection:
            _clear(connection)
            if is_stocked:
                connection.execute(text("ALTER TABLE captured DISABLE TRIGGER USER"))
                _generate(connection, model, rows)
                connection.execute(text("ALTER TABLE captured ENABLE TRIGGER USER"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # What another case, or the filling, left to be done would be done in this one's time.
            connection.execute(text(f"VACUUM ANALYZE {model.__tablename__}"))
            connection.execute(text("CHECKPOINT"))

        def timed() -> None:
            with engine.begin() as connection:
                write(connection, model, rows)

        yield timed

    return case


def _clear(connection: Connection) -> None:
    connection.execute(text("TRUNCATE uncaptured, captured"))
    connection.execute(text("TRUNCATE hookline_capture"))


def _generate(connection: Connection, model: type[Base], rows: int) -> object:
    return connection.execute(
        text(
            f"INSERT INTO {model.__tablename__} (name, email, city, age, member) SELECT 'Person ' || n, "
            f"'person' || n || '@example.com', 'Lisbon', n % 100, n % 2 = 0 FROM generate_series(1, {rows}) AS n"
        )
    )


def _increase(connection: Connection, model: type[Base], rows: int) -> object:
    return connection.execute(text(f"UPDATE {model.__tablename__} SET age = age + 1"))


def _send(connection: Connection, model: type[Base], rows: int) -> object:
    values = [
        {
            "name": f"Person {number}",
            "email": f"person{number}@example.com",
            "city": "Lisbon",
            "street": None,
            "age": number % 100,
            "member": number % 2 == 0,
        }
        for number in range(rows)
    ]
    with Session(connection) as session:
        return session.execute(insert(model), values)
