"""What is written: a table of usual width, and one that hooks are about while nobody writes to it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables of the benchmarks."""


class Person(Base):
    """The class whose objects are flushed."""

    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    city: Mapped[str]
    street: Mapped[str | None]
    age: Mapped[int]
    member: Mapped[bool]


class Bystander(Base):
    """A class that hooks are about, and that nothing writes."""

    __tablename__ = "bystander"

    id: Mapped[int] = mapped_column(primary_key=True)


def people(count: int) -> list[Person]:
    """New objects, all of them different, none in a session."""
    return [Person(**row) for row in rows(count)]


def rows(count: int) -> list[dict[str, Any]]:
    """The values of as many, by attribute name."""
    return [
        {
            "name": f"Person {number}",
            "email": f"person{number}@example.com",
            "city": "Lisbon",
            "street": None,
            "age": number % 100,
            "member": number % 2 == 0,
        }
        for number in range(count)
    ]
