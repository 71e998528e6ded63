"""A process that runs deliveries until it is killed."""

from __future__ import annotations

import time

from sqlalchemy.exc import SQLAlchemyError

from hookline.durable import Worker
from tests.durable.proof.shop import opened


def main(url: str, outside: str) -> None:
    engine, hooks, _ = opened(url, outside)
    while True:
        try:
            Worker(hooks, concurrency=4, batch=20, lease=1.0, poll=0.1).run()
            return
        except SQLAlchemyError:  # the server is away while it starts
            engine.dispose()
            time.sleep(0.05)
