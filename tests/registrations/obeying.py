"""A process that writes whenever it is told to, and says what its callbacks have heard."""

from __future__ import annotations

import sys
from typing import Any

from sqlalchemy.orm import sessionmaker

from hookline import Hooks
from hookline.registrations import DatabaseRegistrations
from hookline.sqlalchemy import attach
from tests.registrations.schema import Consignment
from tests.sqlalchemy.databases import engine_for


def main(url: str) -> None:
    engine = engine_for(url)
    hooks, sessions, heard = Hooks(), sessionmaker(engine), list[Any]()

    @hooks.callback
    def listen(change: Any) -> None:
        heard.append(change.key)

    attach(hooks, sessions)
    hooks.use(DatabaseRegistrations(engine))
    for line in sys.stdin:
        with sessions() as session:
            session.add(Consignment(id=int(line)))
            session.commit()
        print(heard, flush=True)
        heard.clear()
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
