"""A process that writes through several doors until it is killed."""

from __future__ import annotations

import random
import time
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hookline import HooklineError
from tests.durable.proof.shop import KEYS, Parcel, Truth, opened


class Writer:
    """Makes transactions of a few writes, each with the truth about it."""

    def __init__(self, sessions: Any, seed: str) -> None:
        self.sessions, self.seed, self.random, self.count = sessions, seed, random.Random(seed), 0

    def stamp(self) -> str:
        self.count += 1
        return f"{self.seed}.{self.count}"

    def transaction(self) -> None:
        with self.sessions() as session:
            keys = sorted(self.random.sample(range(KEYS), self.random.randint(1, 4)))  # so: no deadlocks
            self.lock(session)
            query = select(Parcel.id, Parcel.stamp).where(Parcel.id.in_(keys)).with_for_update().order_by(Parcel.id)
            before: dict[int, str] = {row.id: row.stamp for row in session.execute(query)}
            after = dict(before)
            for key in keys:
                self.write(session, key, after)
            session.flush()
            for key in keys:
                was, now = before.get(key), after.get(key)
                if was != now:
                    event = "insert" if was is None else "delete" if now is None else "update"
                    session.add(Truth(parcel=key, event=event, before=was, after=now))
            if self.random.random() < 0.9:
                session.commit()

    def lock(self, session: Session) -> None:
        if session.get_bind().dialect.name == "sqlite":  # become the writer before reading
            session.execute(update(Truth).where(Truth.id == -1).values(event=""))

    def write(self, session: Session, key: int, now: dict[int, str]) -> None:
        stamp = self.stamp()
        if key not in now:
            if self.random.random() < 0.5:
                session.add(Parcel(id=key, stamp=stamp))
            else:
                session.execute(insert(Parcel).values(id=key, stamp=stamp))
            now[key] = stamp
        elif self.random.random() < 0.2:
            if self.random.random() < 0.5:
                session.delete(session.get_one(Parcel, key))
                session.flush()
            else:
                session.execute(delete(Parcel).where(Parcel.id == key))
            del now[key]
        else:
            how = self.random.randrange(3)
            if how == 0:
                session.get_one(Parcel, key).stamp = stamp
            elif how == 1:
                session.execute(update(Parcel).where(Parcel.id == key).values(stamp=stamp))
            else:
                session.execute(update(Parcel), [{"id": key, "stamp": stamp}])
            now[key] = stamp


def main(url: str, outside: str, seed: str) -> None:
    engine, _, sessions = opened(url, outside)
    writer = Writer(sessions, seed)
    while True:
        time.sleep(writer.random.uniform(0, 0.03))  # or workers would have no chance
        try:
            writer.transaction()
        except (SQLAlchemyError, HooklineError):  # cut off, a key that somebody took, the server away: go on
            engine.dispose()
