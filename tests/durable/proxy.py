"""A proxy on loopback between a client and PostgreSQL, that cuts connections when it is told to."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import URL

BEFORE, DURING, AFTER, NEVER = "before", "during", "after", "never"
_COMMIT: Final = b"COMMIT\0"


class Proxy:
    """Passes everything on, until a COMMIT comes.

    Attributes:
        when: ``before``: the next COMMIT is not passed on, and the connection is cut. ``during``: it is
            passed on, and the connection is cut at once. ``after``: it is passed on, the server is waited for, and its
            answer is not passed back. ``never``: nothing of that.
        only: Only connections through which this has passed are cut.
        cuts: How often it has cut.
        refusing: Whether new connections are closed at once.
    """

    def __init__(self, target: URL) -> None:
        self.when, self.only, self.cuts, self.refusing = NEVER, b"", 0, False
        host, port = target.query.get("host") or target.host or "127.0.0.1", target.port or 5432
        assert isinstance(host, str)
        self._target = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = target.set(host="127.0.0.1", port=self._listening.getsockname()[1], query={"sslmode": "disable"})
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._pairs: list[tuple[socket.socket, socket.socket]] = []

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """For the time of a block."""
        accepting = threading.Thread(target=self._accept, name="proxy")
        accepting.start()
        try:
            yield self
        finally:
            self._over.set()
            self.cut_all()
            for thread in (accepting, *self._threads):
                thread.join(10)
            self._listening.close()

    def cut_all(self) -> None:
        """Cut all connections that there are."""
        for pair in self._pairs:
            for end in pair:
                _shut(end)

    def _accept(self) -> None:
        while not self._over.is_set():
            readable, _, _ = select.select([self._listening], [], [], 0.05)
            if not readable:
                continue
            client, _ = self._listening.accept()
            if self.refusing:
                client.close()
                continue
            if isinstance(self._target, str):
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
            else:
                server = socket.create_connection(self._target)
            self._pairs.append((client, server))
            thread = threading.Thread(target=self._pass_on, args=(client, server), name="proxied connection")
            self._threads.append(thread)
            thread.start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        committing, passed = False, b""
        with client, server:
            try:
                while True:
                    readable, _, _ = select.select([client, server], [], [])
                    if server in readable:
                        data = server.recv(65536)
                        if not data or committing:  # it has answered, so it has committed
                            self.cuts += committing
                            return
                        client.sendall(data)
                    if client in readable:
                        data = client.recv(65536)
                        if not data:
                            return
                        passed += data
                        ending = _COMMIT in data and self.only in passed
                        if ending and self.when == BEFORE:
                            self.when, self.cuts = NEVER, self.cuts + 1
                            return
                        if ending and self.when == AFTER:
                            self.when, committing = NEVER, True
                        server.sendall(data)
                        if ending and self.when == DURING:
                            self.when, self.cuts = NEVER, self.cuts + 1
                            return
            except OSError:
                return


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed already
