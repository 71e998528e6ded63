"""A cabinet of curiosities: what the cinema has none of, on its way to JSON and back."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Numeric,
    SmallInteger,
    String,
    Table,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase): ...


class Curiosity(Base):
    """Values of many kinds, and a key that the application makes."""

    __tablename__ = "curiosity"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    opens: Mapped[time] = mapped_column(default=time(9))
    lasts: Mapped[timedelta | None]
    kind: Mapped[str] = mapped_column(Enum("bone", "stone", "book", name="curiosity_kind"))
    age: Mapped[int] = mapped_column(SmallInteger, default=0)
    atoms: Mapped[int | None] = mapped_column(BigInteger)
    weight: Mapped[Decimal | None] = mapped_column(Numeric)
    worth: Mapped[Decimal] = mapped_column(Numeric(12, 4), default=Decimal("0.5"))
    found_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC).replace(tzinfo=None))
    opened_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


shelf_label = Table(
    "shelf_label",
    Base.metadata,
    Column("room", String(10), primary_key=True),
    Column("number", primary_key=True),
    Column("label_id", ForeignKey("label.id"), primary_key=True),
    ForeignKeyConstraint(["room", "number"], ["shelf.room", "shelf.number"]),
)


class Label(Base):
    __tablename__ = "label"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(20))
    shelves: Mapped[list[Shelf]] = relationship(secondary=shelf_label, back_populates="labels")


class Shelf(Base):
    """A key of two columns; a shelf may stand upon another."""

    __tablename__ = "shelf"
    room: Mapped[str] = mapped_column(String(10), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    below_room: Mapped[str | None] = mapped_column(String(10))
    below_number: Mapped[int | None]
    below: Mapped[Shelf | None] = relationship(back_populates="above", remote_side=[room, number])
    above: Mapped[list[Shelf]] = relationship(back_populates="below")
    labels: Mapped[list[Label]] = relationship(secondary=shelf_label, back_populates="shelves")
    __table_args__ = (ForeignKeyConstraint(["below_room", "below_number"], ["shelf.room", "shelf.number"]),)
