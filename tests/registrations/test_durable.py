"""Durable registrations: deliveries that workers run, by the names of registrations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from hookline import OutboxError
from hookline.durable import Worker
from hookline.registrations import DatabaseRegistrations
from hookline.sqlalchemy import Outbox, attach
from tests.registrations.conftest import House, house_on
from tests.registrations.schema import Consignment


@pytest.fixture
def other(house: House, registrations: DatabaseRegistrations, engine: Engine) -> Iterator[House]:
    """Another process, so to speak: the same program, whose worker runs deliveries."""
    Outbox().create_tables(engine)
    other = house_on(engine)
    other.sessions = sessionmaker(engine)
    with attach(other.hooks, other.sessions):
        other.hooks.use(DatabaseRegistrations(engine))
        yield other


def test_a_worker_elsewhere_runs_durable_registrations(
    house: House, registrations: DatabaseRegistrations, other: House
) -> None:
    worker = Worker(other.hooks)
    assert worker.run_until_idle() == 0
    registrations.add("listen", "durable", "insert", Consignment)
    registrations.add("whisper", "durable", "insert", Consignment, key=2)
    with house.sessions() as session:
        session.add_all([Consignment(id=1), Consignment(id=2)])
        session.commit()
    assert house.taken() == []
    assert worker.run_until_idle() == 3
    assert sorted(other.taken()) == [("insert", 1), ("insert", 2), ("whisper", 2)]


def test_the_deliveries_of_one_that_is_removed_wait_for_it(
    house: House, registrations: DatabaseRegistrations, other: House
) -> None:
    one = registrations.add("listen", "durable", "insert", Consignment)
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.commit()
    registrations.disable(one)
    worker = Worker(other.hooks)
    assert worker.run_until_idle() == 0
    registrations.enable(one)
    assert worker.run_until_idle() == 1
    assert other.taken() == [("insert", 1)]


def test_a_callback_may_ask_for_its_delivery(house: House, registrations: DatabaseRegistrations, other: House) -> None:
    ids = []

    def ask(change: Any, delivery: Any) -> None:
        ids.append(delivery.id)

    for one in (house, other):
        one.hooks.callback(ask)
    registrations.add("ask", "durable", "insert", Consignment)
    with house.sessions() as session:
        session.add(Consignment(id=1))
        session.commit()
    Worker(other.hooks).run_until_idle()
    assert len(ids) == 1


def test_durable_registrations_need_an_outbox(house: House, registrations: DatabaseRegistrations) -> None:
    with pytest.raises(OutboxError, match="outbox is not ready"):
        registrations.add("listen", "durable", "insert", Consignment)
