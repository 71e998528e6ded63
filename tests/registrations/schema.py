"""The models of these tests."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Speed(enum.Enum):
    slow = "S"
    fast = "F"


class Carrier(Base):
    __tablename__ = "carrier"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Consignment(Base):
    __tablename__ = "shipping"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="normal")
    status: Mapped[str] = mapped_column(default="packed")
    speed: Mapped[Speed | None]
    due: Mapped[dt.date | None]
    price: Mapped[decimal.Decimal | None]
    carrier_id: Mapped[int | None] = mapped_column(ForeignKey("carrier.id"))
    carrier: Mapped[Carrier | None] = relationship()
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "normal"}


class Express(Consignment):
    __mapper_args__ = {"polymorphic_identity": "express"}


class Seat(Base):
    """A row with two key columns."""

    __tablename__ = "seat"
    hall: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    taken: Mapped[bool] = mapped_column(default=False)


class Token(Base):
    """A row whose key JSON does not know."""

    __tablename__ = "token"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    used: Mapped[bool] = mapped_column(default=False)
