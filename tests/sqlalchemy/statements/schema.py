"""The tables that most tests of statements write to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKey, Table, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


membership = Table(
    "membership",
    Base.metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("club_id", ForeignKey("club.id"), primary_key=True),
)


class Person(Base):
    __tablename__ = "person"
    __table_args__ = (CheckConstraint("age <= 150", name="age_limit"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    age: Mapped[int] = mapped_column(default=0)
    email: Mapped[str | None] = mapped_column(unique=True)
    rank: Mapped[int] = mapped_column(server_default=text("7"))
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    boss: Mapped[Person | None] = relationship(remote_side=id, back_populates="team")
    team: Mapped[list[Person]] = relationship(back_populates="boss")
    clubs: Mapped[list[Club]] = relationship(secondary=membership, back_populates="members")


class Club(Base):
    __tablename__ = "club"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    size: Mapped[int] = mapped_column(default=0)
    members: Mapped[list[Person]] = relationship(secondary=membership, back_populates="clubs")


class Line(Base):
    """Its key has two columns."""

    __tablename__ = "line"
    order_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    amount: Mapped[int] = mapped_column(default=1)


def fill(session: Session, *rows: Any) -> None:
    """Store some rows, and hold none of them."""
    session.add_all(rows)
    session.commit()
    session.expunge_all()


def people(session: Session, **ages: int) -> None:
    """Store people with these names and ages; their keys are 1, 2, ..."""
    fill(session, *(Person(id=n, name=name, age=age) for n, (name, age) in enumerate(ages.items(), 1)))
