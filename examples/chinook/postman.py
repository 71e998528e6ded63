"""The worker that sends receipts, as a program of its own: ``python postman.py DATABASE_URL``."""

from __future__ import annotations

import sys

from database import connect
from receipts import LEASE, post
from sqlalchemy.orm import Session, sessionmaker

from hookline.durable import Worker
from hookline.sqlalchemy import attach

if __name__ == "__main__":
    attach(post, sessionmaker[Session](connect(sys.argv[1])))
    Worker(post, concurrency=2, lease=LEASE).run()
