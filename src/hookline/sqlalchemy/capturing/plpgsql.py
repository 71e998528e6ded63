"""What the trigger functions on PostgreSQL do.

A statement's old and new rows come as transition tables, and go into the log as one array per column. So the log gets
one row per statement, not one per row, and needs no more than one look into an index. The arrays are of the columns'
own types: nothing is converted on the way.

Transition tables do not say which new row belongs to which old one. But PostgreSQL fills both with each row that it
updates, one after the other, and they are read in that order: the n-th old row became the n-th new row, whatever
happened to its key.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Enum, Float, Integer, Interval, Time, Uuid

from hookline.sqlalchemy.capturing.shape import Shape
from hookline.sqlalchemy.capturing.sql import Quoter

_QUOTER: Final = Quoter("postgresql")
_PART_ROWS: Final = 500_000
_PART_BYTES: Final = 64 * 1024 * 1024
"""How much goes into one row of the images: far from the limit of 1 GB."""

_SHORT: Final = (BigInteger, Boolean, Date, DateTime, Enum, Float, Integer, Interval, Time, Uuid)
"""Types whose values take a few bytes: they need not be measured."""


def body(shape: Shape, event: str) -> str:
    """The body of the function of one event's trigger."""
    declared = " ".join(f"hookline_{name} bigint;" for name in ("change", "rows", "others", "bytes", "widest", "size"))
    return f"\n#variable_conflict use_variable\nDECLARE {declared}\nBEGIN\n{_STEPS[event](shape)}\nRETURN NULL;\nEND\n"


def _insert(shape: Shape) -> str:
    return f"{_measure(shape, 'hookline_new')}\n{_log(shape, 'insert', new='hookline_new')}"


def _delete(shape: Shape) -> str:
    return f"{_measure(shape, 'hookline_old')}\n{_log(shape, 'delete', old='hookline_old')}"


def _update(shape: Shape) -> str:
    # A row that moved to another partition, and was kept out of it by a trigger there, has no new row.
    return (
        f"SELECT count(*) INTO hookline_others FROM hookline_new;\n"
        f"{_measure(shape, 'hookline_old', 'hookline_new')}\n"
        f"IF hookline_rows = hookline_others THEN\n"
        f"{_log(shape, 'update', old='hookline_old', new='hookline_new')}\n"
        f"ELSE\n"
        f"{_log(shape, 'delete', old='hookline_old')}\n"
        f"{_log(shape, 'insert', new='hookline_new')}\n"
        f"END IF;"
    )


def _truncate(shape: Shape) -> str:
    # Only this table: the triggers of others fire for themselves. But a partitioned table is its partitions.
    only = "" if shape.table.dialect_options["postgresql"].get("partition_by") else "ONLY "
    name = f"{only}' || quote_ident(TG_TABLE_SCHEMA) || '.' || quote_ident(TG_TABLE_NAME) || '"
    before, after = (_QUOTER.text(part)[1:-1] for part in _in_parts(shape, "$2", old="\0").split("\0"))
    counted = _QUOTER.text(_measuring(shape, "\0"))[1:-1].replace("\0", name)
    return (
        f"EXECUTE '{counted}' INTO hookline_rows, hookline_bytes, hookline_widest;\n"
        f"IF hookline_rows = 0 THEN RETURN NULL; END IF;\n"
        f"hookline_size := {_SIZE};\n"
        f"hookline_change := nextval({_sequence(shape)});\n"
        f"EXECUTE '{before}{name}{after}' USING hookline_change, hookline_size;\n"
        f"{_enter(shape, 'delete')}"
    )


_STEPS: Final = {"insert": _insert, "update": _update, "delete": _delete, "truncate": _truncate}
_SIZE: Final = f"greatest(1, least({_PART_ROWS}, {_PART_BYTES} / greatest(1, hookline_widest)))"


def _measure(shape: Shape, *sources: str) -> str:
    """Count the rows and their bytes, and be done if there are none."""
    steps = [f"{_measuring(shape, sources[0], into=True)};", "IF hookline_rows = 0 THEN RETURN NULL; END IF;"]
    if len(sources) > 1 and _bytes(shape) != "0":
        both = " UNION ALL ".join(f"SELECT {_bytes(shape)} AS n FROM {source} AS r" for source in sources)
        steps[1:1] = [f"SELECT sum(n), max(n) INTO hookline_bytes, hookline_widest FROM ({both}) AS r;"]
    return "\n".join(steps)


def _measuring(shape: Shape, source: str, *, into: bool = False) -> str:
    size = _bytes(shape)
    figures = "count(*), 0, 0" if size == "0" else f"count(*), coalesce(sum({size}), 0), coalesce(max({size}), 0)"
    target = " INTO hookline_rows, hookline_bytes, hookline_widest" if into else ""
    return f"SELECT {figures}{target} FROM {source} AS r"


def _bytes(shape: Shape) -> str:
    """The bytes that a row has at most, but for a few: a value that lies there compressed may be much longer."""
    names = [f"r.{_QUOTER.name(c.name)}" for c in shape.columns if not isinstance(c.type, _SHORT)]
    sizes = [f"pg_column_size({n}) * CASE WHEN pg_column_compression({n}) IS NULL THEN 1 ELSE 255 END" for n in names]
    return " + ".join(f"coalesce({size}, 0)" for size in sizes) or "0"


def _log(shape: Shape, operation: str, *, old: str = "", new: str = "") -> str:
    return (
        f"hookline_change := nextval({_sequence(shape)});\n"
        f"IF hookline_rows <= {_PART_ROWS} AND hookline_bytes <= {_PART_BYTES} THEN\n"
        f"{_in_one(shape, old=old, new=new)};\n"
        f"ELSE\n"
        f"hookline_size := {_SIZE};\n"
        f"{_in_parts(shape, 'hookline_size', old=old, new=new)};\n"
        f"END IF;\n"
        f"IF FOUND THEN\n{_enter(shape, operation)}\nEND IF;"
    )


def _enter(shape: Shape, operation: str) -> str:
    entry = ", ".join(map(_QUOTER.text, (shape.label, operation, shape.images)))
    log = _QUOTER.within(shape.log, shape.schema)
    return (
        f'INSERT INTO {log} (id, tx, "table", operation, images) '
        f"VALUES (hookline_change, pg_current_xact_id(), {entry});"
    )


def _in_one(shape: Shape, *, old: str = "", new: str = "") -> str:
    """Write all rows as one row of the images, unless no value of any is another one."""
    sources = [
        f"(SELECT {', '.join(_arrays(shape, prefix))} FROM {source} AS r) AS {prefix}"
        for prefix, source in (("o", old), ("n", new))
        if source
    ]
    differ = " WHERE o.* *<> n.*" if old and new else ""
    chosen = ", ".join(_chosen(shape, old, new))
    return f"{_into(shape, old, new)} SELECT hookline_change, 0, {chosen} FROM {', '.join(sources)}{differ}"


def _in_parts(shape: Shape, size: str, *, old: str = "", new: str = "") -> str:
    """Write so many rows as one row of the images."""
    prefixes = [(prefix, source) for prefix, source in (("o", old), ("n", new)) if source]
    parts = [
        f"{prefix} AS MATERIALIZED (SELECT r.hookline_place / {size} AS hookline_part, "
        f"{', '.join(_arrays(shape, prefix, ' ORDER BY r.hookline_place'))} "
        f"FROM (SELECT r.*, row_number() OVER () - 1 AS hookline_place FROM {source} AS r) AS r GROUP BY 1)"
        for prefix, source in prefixes
    ]
    chosen = ", ".join(_chosen(shape, old, new))
    change = "$1" if size.startswith("$") else "hookline_change"
    source = " JOIN ".join(prefix for prefix, _ in prefixes)
    joined = " ON o.hookline_part = n.hookline_part WHERE o.* *<> n.*" if old and new else ""
    first = prefixes[0][0]
    return (
        f"WITH {', '.join(parts)} {_into(shape, old, new)} "
        f"SELECT {change}, {first}.hookline_part, {chosen} FROM {source}{joined}"
    )


def _into(shape: Shape, old: str, new: str) -> str:
    names = [shape.old(c) for c in shape.columns if old] + [shape.new(c) for c in shape.columns if new]
    images = _QUOTER.within(shape.images, shape.schema)
    return f"INSERT INTO {images} (id, part, {', '.join(map(_QUOTER.name, names))})"


def _arrays(shape: Shape, prefix: str, order: str = "") -> list[str]:
    return [
        f"array_agg({value_of(shape, 'r', column)}{order}) AS {prefix}{number}"
        for number, column in enumerate(shape.columns)
    ]


def _chosen(shape: Shape, old: str, new: str) -> list[str]:
    prefixes = [prefix for prefix, source in (("o", old), ("n", new)) if source]
    return [f"{prefix}.{prefix}{number}" for prefix in prefixes for number in range(len(shape.columns))]


def value_of(shape: Shape, row: str, column: Column[Any]) -> str:
    """A column's value in a row, as it goes into an array."""
    value = shape.expression(column) or f"{row}.{_QUOTER.name(column.name)}"
    return f"CAST({value} AS text)" if shape.is_array(column) else value


def _sequence(shape: Shape) -> str:
    return _QUOTER.text(_QUOTER.within(f"{shape.log}_id", shape.schema))
