"""A shop whose orders others are told of."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, ForeignKey, MetaData, Numeric, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from hookline import Delivery, Hooks
from hookline.sqlalchemy import Attachment, Outbox, attach

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_2vKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSA"


class Base(DeclarativeBase):
    metadata = MetaData()


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default="new")
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2), default=Decimal("9.90"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer | None] = relationship()


class Receipt(Base):
    __tablename__ = "receipt"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))


def opened(engine: Engine) -> sessionmaker[Session]:
    """Sessions of an empty shop."""
    Base.metadata.create_all(engine)
    Outbox().create_tables(engine)
    return sessionmaker(engine)


def attached(hooks: Hooks, engine: Engine) -> tuple[Attachment, sessionmaker[Session]]:
    sessions = opened(engine)
    return attach(hooks, sessions), sessions


def receipts(engine: Engine) -> list[Any]:
    with Session(engine) as session:
        return list(session.scalars(select(Receipt.order_id).order_by(Receipt.order_id)))


def delivery(number: int = 1, hook: str = "tell", body: bytes | None = None) -> Delivery:
    """One that needs no database."""
    row = {"id": 7, "status": "new", "price": {"$decimal": "9.90"}, "customer_id": None}
    change = {"event": "insert", "model": f"{__name__}:Order", "door": "unit of work", "key": 7, "new": row}
    body = json.dumps(change).encode() if body is None else body
    return Delivery(f"3f-{number}", hook, 1, 10, dt.datetime(2025, 1, 31, tzinfo=dt.UTC), body)
