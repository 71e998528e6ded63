"""What the trigger functions on PostgreSQL do.

A statement's old and new rows come as transition tables, and go into the log as one array per column. So the log gets
one entry per statement, not one per row, and is found by one look into an index. The arrays are of the columns'
own types: nothing is converted on the way.

Transition tables do not say which new row belongs to which old one. But PostgreSQL fills both with each row that it
updates, one after the other, and they are read in that order: the n-th old row became the n-th new row, whatever
happened to its key.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Enum, Float, Integer, Interval, String, Time, Uuid

from hookline.sqlalchemy.capturing.shape import Shape
from hookline.sqlalchemy.capturing.sql import Quoter

_QUOTER: Final = Quoter("postgresql")
_PART_ROWS: Final = 500_000
_PART_BYTES: Final = 64 * 1024 * 1024
"""How much goes into one entry: far from the limit of 1 GB."""

_SHORT: Final = (BigInteger, Boolean, Date, DateTime, Enum, Float, Integer, Interval, Time, Uuid)
"""Types whose values take a few bytes: they need not be measured."""


def body(shape: Shape, event: str) -> str:
    """The body of the function of one event's trigger."""
    declared = " ".join(f"hookline_{name} bigint;" for name in ("rows", "others", "widest", "wider", "size"))
    return f"\n#variable_conflict use_variable\nDECLARE {declared}\nBEGIN\n{_STEPS[event](shape)}\nRETURN NULL;\nEND\n"


def _insert(shape: Shape) -> str:
    new = "hookline_new"
    return f"{_single(shape, 'insert', new=new)}\n{_measure(shape, new)}\n{_log(shape, 'insert', new=new)}"


def _delete(shape: Shape) -> str:
    old = "hookline_old"
    return f"{_single(shape, 'delete', old=old)}\n{_measure(shape, old)}\n{_log(shape, 'delete', old=old)}"


def _update(shape: Shape) -> str:
    old, new = "hookline_old", "hookline_new"
    # A row that moved to another partition, and was kept out of it by a trigger there, has no new row.
    return (
        f"{_single(shape, 'update', old=old, new=new)}\n"
        f"{_measuring(shape, new, 'hookline_others, hookline_wider')};\n"
        f"{_measure(shape, old)}\n"
        f"hookline_widest := greatest(hookline_widest, hookline_wider);\n"
        f"IF hookline_rows = hookline_others THEN\n{_log(shape, 'update', old=old, new=new)}\n"
        f"ELSE\n{_log(shape, 'delete', old=old)}\n{_log(shape, 'insert', new=new)}\nEND IF;"
    )


def _truncate(shape: Shape) -> str:
    # Only this table: the triggers of others fire for themselves. But a partitioned table is its partitions.
    only = "" if shape.table.dialect_options["postgresql"].get("partition_by") else "ONLY "
    name = f"{only}' || quote_ident(TG_TABLE_SCHEMA) || '.' || quote_ident(TG_TABLE_NAME) || '"
    before, after = (_QUOTER.text(part)[1:-1] for part in _in_parts(shape, "$1", "delete", old="\0").split("\0"))
    counted = _QUOTER.text(_measuring(shape, "\0"))[1:-1].replace("\0", name)
    return (
        f"EXECUTE '{counted}' INTO hookline_rows, hookline_widest;\n"
        f"IF hookline_rows = 0 THEN RETURN NULL; END IF;\n"
        f"hookline_size := {_SIZE};\n"
        f"EXECUTE '{before}{name}{after}' USING hookline_size;"
    )


_STEPS: Final = {"insert": _insert, "update": _update, "delete": _delete, "truncate": _truncate}
_SIZE: Final = f"greatest(1, least({_PART_ROWS}, {_PART_BYTES} / greatest(1, hookline_widest)))"


def _measure(shape: Shape, source: str) -> str:
    """Count the rows and the bytes of the widest, and be done if there are none."""
    counted = _measuring(shape, source, "hookline_rows, hookline_widest")
    return f"{counted};\nIF hookline_rows = 0 THEN RETURN NULL; END IF;"


def _measuring(shape: Shape, source: str, into: str = "") -> str:
    size = _bytes(shape)
    widest = "0" if size == "0" else f"coalesce(max({size}), 0)"
    return f"SELECT count(*), {widest}{into and ' INTO '}{into} FROM {source} AS r"


def _bytes(shape: Shape) -> str:
    """The bytes that a row has at most, but for a few."""
    columns = [column for column in shape.columns if not isinstance(column.type, _SHORT)]
    return " + ".join(f"coalesce({_bytes_of(column)}, 0)" for column in columns) or "0"


def _bytes_of(column: Column[Any]) -> str:
    name = f"r.{_QUOTER.name(column.name)}"
    if isinstance(column.type, String):
        return f"octet_length(CAST({name} AS text))"  # which it need not look at
    # What lies there compressed may be much longer.
    return f"pg_column_size({name}) * CASE WHEN pg_column_compression({name}) IS NULL THEN 1 ELSE 255 END"


def _single(shape: Shape, operation: str, *, old: str = "", new: str = "") -> str:
    """Write the row of a statement that wrote one, and be done: most do, and should not wait for what follows."""
    sources = [(prefix, source) for prefix, source in (("o", old), ("n", new)) if source]
    values = ", ".join(f"ARRAY[{value}]" for value in _chosen(shape, old, new))
    rows = [
        f"(SELECT {', '.join(_values(shape, prefix))} FROM {source} AS r) AS {prefix}" for prefix, source in sources
    ]
    conditions = [f"NOT EXISTS (SELECT FROM {source} OFFSET 1)" for _, source in sources]
    if old and new:
        conditions.append("o.* *<> n.*")
    return (
        f"{_into(shape, old, new)} SELECT {_entry(shape, operation)}, {values} "
        f"FROM {', '.join(rows)} WHERE {' AND '.join(conditions)};\n"
        f"IF FOUND THEN RETURN NULL; END IF;"
    )


def _log(shape: Shape, operation: str, *, old: str = "", new: str = "") -> str:
    return (
        f"IF hookline_rows <= {_PART_ROWS} AND hookline_rows * hookline_widest <= {_PART_BYTES} THEN\n"
        f"{_in_one(shape, operation, old=old, new=new)};\n"
        f"ELSE\n"
        f"hookline_size := {_SIZE};\n"
        f"{_in_parts(shape, 'hookline_size', operation, old=old, new=new)};\n"
        f"END IF;"
    )


def _in_one(shape: Shape, operation: str, *, old: str = "", new: str = "") -> str:
    """Write all rows as one entry, unless no value of any is another one."""
    sources = [
        f"(SELECT {', '.join(_arrays(shape, prefix))} FROM {source} AS r) AS {prefix}"
        for prefix, source in (("o", old), ("n", new))
        if source
    ]
    differ = " WHERE o.* *<> n.*" if old and new else ""
    chosen = ", ".join(_chosen(shape, old, new))
    return f"{_into(shape, old, new)} SELECT {_entry(shape, operation)}, {chosen} FROM {', '.join(sources)}{differ}"


def _in_parts(shape: Shape, size: str, operation: str, *, old: str = "", new: str = "") -> str:
    """Write so many rows as one entry."""
    prefixes = [(prefix, source) for prefix, source in (("o", old), ("n", new)) if source]
    parts = [
        f"{prefix} AS MATERIALIZED (SELECT r.hookline_place / {size} AS hookline_part, "
        f"{', '.join(_arrays(shape, prefix, ' ORDER BY r.hookline_place'))} "
        f"FROM (SELECT r.*, row_number() OVER () - 1 AS hookline_place FROM {source} AS r) AS r GROUP BY 1)"
        for prefix, source in prefixes
    ]
    chosen = ", ".join(_chosen(shape, old, new))
    source = " JOIN ".join(prefix for prefix, _ in prefixes)
    joined = " ON o.hookline_part = n.hookline_part WHERE o.* *<> n.*" if old and new else ""
    # Numbers are given out when the parts are in order.
    return (
        f"WITH {', '.join(parts)} {_into(shape, old, new)} SELECT {_entry(shape, operation)}, p.* "
        f"FROM (SELECT {chosen} FROM {source}{joined} ORDER BY {prefixes[0][0]}.hookline_part) AS p"
    )


def _entry(shape: Shape, operation: str) -> str:
    sequence = _QUOTER.text(_QUOTER.within(f"{shape.log}_id", shape.schema))
    named = f"{_QUOTER.text(shape.label)}, {_QUOTER.text(operation)}"
    return f"nextval({sequence}), pg_current_xact_id(), {named}, clock_timestamp()"


def _into(shape: Shape, old: str, new: str) -> str:
    names = [shape.old(c) for c in shape.columns if old] + [shape.new(c) for c in shape.columns if new]
    images = _QUOTER.within(shape.images, shape.schema)
    return f'INSERT INTO {images} (id, tx, "table", operation, at, {", ".join(map(_QUOTER.name, names))})'


def _values(shape: Shape, prefix: str, around: str = "{}") -> list[str]:
    return [
        f"{around.format(value_of(shape, 'r', column))} AS {prefix}{number}"
        for number, column in enumerate(shape.columns)
    ]


def _arrays(shape: Shape, prefix: str, order: str = "") -> list[str]:
    return _values(shape, prefix, f"array_agg({{}}{order})")


def _chosen(shape: Shape, old: str, new: str) -> list[str]:
    prefixes = [prefix for prefix, source in (("o", old), ("n", new)) if source]
    return [f"{prefix}.{prefix}{number}" for prefix in prefixes for number in range(len(shape.columns))]


def value_of(shape: Shape, row: str, column: Column[Any]) -> str:
    """A column's value in a row, as it goes into an array."""
    value = shape.expression(column) or f"{row}.{_QUOTER.name(column.name)}"
    return f"CAST({value} AS text)" if shape.is_array(column) else value
