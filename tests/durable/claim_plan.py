"""Prints how PostgreSQL finds what may run, with few deliveries and with many: ``python -m tests.durable.claim_plan``.

Not a test: times are for reading. The server is the tests' own, or that of HOOKLINE_POSTGRESQL_URL.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text

from hookline.sqlalchemy import Outbox
from hookline.sqlalchemy.outbox.claims import Claims

KINDS = {
    "pending, a key each": "SELECT 'send', '[\"Order\",[' || n || ']]', '{}', 0, now() - n * interval '1 ms' FROM s",
    "waiting in the future": "SELECT 'send', '[\"Order\",[' || n || ']]', '{}', 0, now() + interval '1 h' FROM s",
    "done": "SELECT 'send', '[\"Order\",[' || n || ']]', '{}', 2, now() - n * interval '1 ms' FROM s",
    "pending, 3 keys": "SELECT 'send', 'key ' || n % 3, '{}', 0, now() - n * interval '1 ms' FROM s",
    "behind one that runs": "SELECT 'send', 'key', '{}', CASE n WHEN 1 THEN 1 ELSE 0 END, "
    "now() + CASE n WHEN 1 THEN interval '1 h' ELSE interval '-1 s' END FROM s",
}


@contextmanager
def server() -> Iterator[str]:
    if given := os.environ.get("HOOKLINE_POSTGRESQL_URL"):
        yield given
        return
    from tests.durable.proof.server import Server

    with tempfile.TemporaryDirectory(prefix="hookline-plan-") as folder, Server(Path(folder) / "data").running() as url:
        yield url


def fill(engine: Engine, outbox: Outbox, how: str, number: int) -> None:
    table = outbox.deliveries
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {table.name} CASCADE"))
        numbers = f"WITH s AS (SELECT generate_series(1, {number}) AS n ORDER BY 1)"
        connection.execute(text(f"INSERT INTO {table.name} (hook, lane, body, state, due_at) {numbers} {KINDS[how]}"))
        if "pending, a" not in how:  # something that may be claimed
            more = KINDS["pending, a key each"].replace("Order", "Other")
            numbers = "WITH s AS (SELECT generate_series(1, 1000) AS n ORDER BY 1)"
            connection.execute(text(f"INSERT INTO {table.name} (hook, lane, body, state, due_at) {numbers} {more}"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM ANALYZE {table.name}"))


def measure(engine: Engine, outbox: Outbox) -> tuple[float, float, int, str]:
    """Milliseconds of the query and of a whole claim of 100, how many it claimed, and the plan."""
    claims = Claims(outbox)
    query: Any = claims._due(["send"], 100)
    compiled = query.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        explained = text(f"EXPLAIN (ANALYZE, BUFFERS OFF) {compiled}".replace(":", r"\:"))
        plan = "\n".join(connection.scalars(explained))
        best, claimed = float("inf"), 0
        for _ in range(5):
            began = time.perf_counter()
            claimed = len(claims.take(connection, "worker", ["send"], 100, 30))
            best = min(best, (time.perf_counter() - began) * 1000)
            connection.rollback()
    found = re.search(r"Execution Time: ([\d.]+)", plan)
    assert found is not None
    return float(found.group(1)), best, claimed, plan


def main(plans: bool) -> None:
    outbox = Outbox()
    with server() as url:
        engine = create_engine(url)
        outbox.create_tables(engine)
        for how in KINDS:
            for number in (1_000, 100_000):
                fill(engine, outbox, how, number)
                query, claim, claimed, plan = measure(engine, outbox)
                print(f"{number:>7,} {how:<22} query {query:8.2f} ms   claim of {claimed:>3} {claim:8.2f} ms")
                if plans and number > 1000:
                    print(plan)
        engine.dispose()


if __name__ == "__main__":
    main("--plans" in sys.argv)
