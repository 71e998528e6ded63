"""A small schema with its capture, for tests of what happens to the log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Engine, ForeignKey, Table, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from hookline.sqlalchemy import Capture, Captured, capture


class Base(DeclarativeBase):
    pass


person_tag = Table(
    "person_tag",
    Base.metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="person")
    name: Mapped[str]
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    boss: Mapped[Person | None] = relationship(remote_side=id)
    tags: Mapped[list[Tag]] = relationship(secondary=person_tag, back_populates="people")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Employee(Person):
    __tablename__ = "employee"
    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    salary: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "employee"}


class Retired(Person):
    since: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "retired"}


class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]
    people: Mapped[list[Person]] = relationship(secondary=person_tag, back_populates="tags")


def installed(engine: Engine, *targets: Any) -> Capture:
    """The capture of some targets, else of tags, with its tables."""
    Base.metadata.create_all(engine)
    found = capture(*(targets or (Tag,)))
    found.install(engine)
    return found


def add_tags(connection: Connection, *ids: int) -> None:
    for number in ids:
        connection.execute(text(f"INSERT INTO tag (id, label) VALUES ({number}, 't{number}')"))


def keys(changes: list[Captured]) -> list[int]:
    return [one.key[0] for one in changes]


def entries(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT count(*) FROM hookline_capture")) or 0)
