"""The database's clock: the only one that deliveries go by."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Dialect, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class Moment(TypeDecorator[dt.datetime]):
    """A moment, aware, in UTC; on SQLite a text that sorts as moments do."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """As it is read."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """As it is written."""
        return None if value is None else value.astimezone(dt.UTC)


class _Now(FunctionElement[dt.datetime]):
    """The moment when it is asked, some seconds later or earlier."""

    inherit_cache = True
    type = Moment()
    name = "hookline_now"


@compiles(_Now)
def _now(element: Any, compiler: Any, **options: Any) -> str:
    (seconds,) = [compiler.process(one, **options) for one in element.clauses] or [None]
    return "statement_timestamp()" if seconds is None else f"(statement_timestamp() + make_interval(secs => {seconds}))"


@compiles(_Now, "sqlite")
def _now_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    (seconds,) = [compiler.process(one, **options) for one in element.clauses] or [None]
    later = "" if seconds is None else f", ({seconds}) || ' seconds'"
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now'{later}) || '000')"


def now() -> ColumnElement[dt.datetime]:
    """The moment when the statement began: not when its transaction did, and the same for all rows."""
    return _Now()


def later(seconds: float | ColumnElement[float]) -> ColumnElement[dt.datetime]:
    """So many seconds after it; before it, if negative."""
    return _Now(func.coalesce(seconds, 0.0))
