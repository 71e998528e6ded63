"""The store over HTTP, until Ctrl-C.

    python examples/chinook/serve.py                   # a SQLite file of its own, any free port
    python examples/chinook/serve.py --port 8000 --workers 4 --file chinook.db
    DB=postgresql python examples/chinook/serve.py     # a PostgreSQL server of its own

It opens the description of the interface in the browser, and has ``importer.py`` fill the store over HTTP.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from socket import SO_REUSEADDR, SOL_SOCKET, socket
from threading import Thread

import uvicorn
from api import DATABASE, answers
from database import connect, empty_database, kept_database
from sqlalchemy import URL

HOST = "127.0.0.1"
HERE = Path(__file__).parent


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what was made is cleared away
    place = kept_database(options.file) if options.file else empty_database(options.db)
    try:
        with place as url:
            serve(url, options)
    except KeyboardInterrupt:
        pass
    return 0


def serve(url: URL, options: argparse.Namespace) -> None:
    """Serve a database until a signal says stop."""
    engine = connect(url)
    answers.create_tables(engine)
    engine.dispose()
    os.environ[DATABASE] = url.render_as_string(hide_password=False)
    port = _free_port(options.port)
    address = f"http://{HOST}:{port}"
    Thread(target=_tell, args=(address, options), daemon=True).start()
    with _filled(address) if options.fill else nullcontext():
        uvicorn.run(
            "api:application", factory=True, app_dir=str(HERE), host=HOST, port=port, workers=options.workers,
            log_level="warning",
        )  # fmt: skip


def _free_port(wanted: int) -> int:
    """The port, if nobody has it; any that nobody has for 0."""
    with socket() as free:
        free.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            free.bind((HOST, wanted))
        except OSError as error:
            raise SystemExit(f"Port {wanted}: {error.strerror}. PORT=0 finds one that is free.") from None
        return int(free.getsockname()[1])


def _tell(address: str, options: argparse.Namespace) -> None:
    """Say where the store is, as soon as it is there."""
    host, port = address.removeprefix("http://").split(":")
    while True:
        with socket() as visitor:
            if visitor.connect_ex((host, int(port))) == 0:
                break
        time.sleep(0.05)
    print(f"Chinook, on {options.db}: {address}/docs (Ctrl-C ends it)", flush=True)
    if options.open and _has_display():
        webbrowser.open(f"{address}/docs")


@contextmanager
def _filled(address: str) -> Iterator[None]:
    """Let the importer work meanwhile."""
    importer = subprocess.Popen([sys.executable, str(HERE / "importer.py"), address])
    try:
        yield
    finally:
        importer.terminate()
        importer.wait()


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _options() -> argparse.Namespace:
    def number(name: str, default: int) -> int:
        return int(os.environ.get(name) or default)

    parser = argparse.ArgumentParser(description="The Chinook store over HTTP.")
    parser.add_argument("--db", choices=("sqlite", "postgresql"), default=os.environ.get("DB") or "sqlite")
    parser.add_argument("--file", type=Path, help="keep the SQLite database in this file, or go on with it")
    parser.add_argument("--port", type=int, default=number("PORT", 0), help="0, the default, is any free one")
    parser.add_argument("--workers", type=int, default=number("WORKERS", 1), help="how many processes serve")
    parser.add_argument("--no-open", dest="open", action="store_false", help="leave the browser alone, as OPEN=0 does")
    parser.add_argument("--empty", dest="fill", action="store_false", help="leave the store empty, as EMPTY=1 does")
    parser.set_defaults(open=os.environ.get("OPEN") != "0", fill=not number("EMPTY", 0))
    options = parser.parse_args()
    if options.file and options.db != "sqlite":
        parser.error("--file goes with SQLite only")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
