"""One model for each way of mapping that a unit of work must get right."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Table
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, composite, mapped_column, relationship

_ticks = itertools.count(1)


def next_tick(context: Any = None) -> int:
    """A value that only Python knows and only the flush asks for."""
    return next(_ticks)


def restart_ticks() -> None:
    """Begin again, so that every sequence has the same values each time that it runs."""
    global _ticks
    _ticks = itertools.count(1)


class Base(DeclarativeBase):
    pass


person_tag = Table(
    "person_tag",
    Base.metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)
friendship = Table(
    "friendship",
    Base.metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("friend_id", ForeignKey("person.id"), primary_key=True),
)


@dataclass
class Address:
    """A composite value."""

    street: str | None
    city: str | None


class Company(Base):
    __tablename__ = "company"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    size: Mapped[int] = mapped_column(default=1)
    rating: Mapped[int] = mapped_column(server_default="5")
    employees: Mapped[list[Person]] = relationship(back_populates="employer")
    projects: Mapped[list[Project]] = relationship()


class Project(Base):
    """The many side of a relation that has no attribute on this side."""

    __tablename__ = "project"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))


class Person(Base):
    __tablename__ = "person"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    age: Mapped[int] = mapped_column(default=0)
    nick: Mapped[str | None] = mapped_column("nickname")
    bio: Mapped[str | None] = mapped_column(deferred=True)
    settings: Mapped[dict[str, Any] | None] = mapped_column(MutableDict.as_mutable(JSON(none_as_null=True)))
    touched: Mapped[int] = mapped_column(default=next_tick, onupdate=next_tick)
    street: Mapped[str | None]
    city: Mapped[str | None]
    address: Mapped[Address] = composite("street", "city")
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    employer_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    boss: Mapped[Person | None] = relationship(back_populates="staff", remote_side=id)
    staff: Mapped[list[Person]] = relationship(back_populates="boss")
    employer: Mapped[Company | None] = relationship(back_populates="employees")
    passport: Mapped[Passport | None] = relationship(back_populates="person")
    tags: Mapped[list[Tag]] = relationship(secondary=person_tag, back_populates="people")
    friends: Mapped[list[Person]] = relationship(
        secondary=friendship,
        primaryjoin=lambda: Person.id == friendship.c.person_id,
        secondaryjoin=lambda: Person.id == friendship.c.friend_id,
        back_populates="befriended_by",
    )
    befriended_by: Mapped[set[Person]] = relationship(
        secondary=friendship,
        primaryjoin=lambda: Person.id == friendship.c.friend_id,
        secondaryjoin=lambda: Person.id == friendship.c.person_id,
        back_populates="friends",
    )
    enrollments: Mapped[list[Enrollment]] = relationship(back_populates="person", cascade="all, delete-orphan")
    vehicles: Mapped[list[Vehicle]] = relationship(back_populates="owner")


class Passport(Base):
    """One to one."""

    __tablename__ = "passport"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    person: Mapped[Person | None] = relationship(back_populates="passport")


class Tag(Base):
    __tablename__ = "tag"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]
    people: Mapped[list[Person]] = relationship(secondary=person_tag, back_populates="tags")


class Course(Base):
    __tablename__ = "course"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    enrollments: Mapped[list[Enrollment]] = relationship(back_populates="course", cascade="all, delete-orphan")


class Enrollment(Base):
    """An association object: its key is two foreign keys."""

    __tablename__ = "enrollment"
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    course_id: Mapped[int] = mapped_column(ForeignKey("course.id"), primary_key=True)
    grade: Mapped[int] = mapped_column(default=0)
    person: Mapped[Person] = relationship(back_populates="enrollments")
    course: Mapped[Course] = relationship(back_populates="enrollments")


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(server_default="new")
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    customer: Mapped[Person | None] = relationship()
    lines: Mapped[list[Line]] = relationship(back_populates="order", cascade="all, delete-orphan")


class Line(Base):
    __tablename__ = "line"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    price: Mapped[int]
    quantity: Mapped[int] = mapped_column(default=1)
    total: Mapped[int | None]
    order: Mapped[Order] = relationship(back_populates="lines")


class Vehicle(Base):
    """Joined inheritance: a table for each class."""

    __tablename__ = "vehicle"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    owner: Mapped[Person | None] = relationship(back_populates="vehicles")


class Car(Vehicle):
    __tablename__ = "car"
    __mapper_args__ = {"polymorphic_identity": "car"}
    id: Mapped[int] = mapped_column(ForeignKey("vehicle.id"), primary_key=True)
    doors: Mapped[int] = mapped_column(default=4)


class Truck(Vehicle):
    __tablename__ = "truck"
    __mapper_args__ = {"polymorphic_identity": "truck"}
    id: Mapped[int] = mapped_column(ForeignKey("vehicle.id"), primary_key=True)
    load: Mapped[int]
    depot_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    depot: Mapped[Company | None] = relationship()


class Account(Base):
    """Single-table inheritance."""

    __tablename__ = "account"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "account"}
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    balance: Mapped[int] = mapped_column(default=0)


class Savings(Account):
    __mapper_args__ = {"polymorphic_identity": "savings"}
    rate: Mapped[int | None]


class Document(Base):
    """With a version counter."""

    __tablename__ = "document"
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    pages: Mapped[int] = mapped_column(default=1)


class Country(Base):
    """With a natural key, which may change."""

    __tablename__ = "country"
    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


MODELS: tuple[type[Base], ...] = tuple(
    sorted((mapper.class_ for mapper in Base.registry.mappers), key=lambda model: model.__name__)
)


def seed() -> list[Base]:
    """Something of everything, linked."""
    acme, bits = Company(name="Acme"), Company(name="Bits")
    ann = Person(name="Ann", age=30, employer=acme, settings={"a": 1}, street="Low Road", city="Bath", bio="long")
    bob, cid = Person(name="Bob", age=20, boss=ann, employer=bits), Person(name="Cid", age=10, boss=ann)
    red, blue = Tag(label="red"), Tag(label="blue")
    ann.tags, bob.tags = [red, blue], [red]
    ann.friends = [bob]
    maths = Course(title="maths")
    return [
        *(acme, bits, ann, bob, cid, red, blue, maths),
        Enrollment(person=ann, course=maths, grade=1),
        Project(title="p1"),
        Passport(number="n1", person=ann),
        Order(customer=cid, lines=[Line(price=2, quantity=1, total=2), Line(price=3, quantity=2, total=6)]),
        Vehicle(name="v1"),
        Car(name="c1", owner=bob),
        Truck(name="t1", load=1, depot=acme),
        Account(balance=1),
        Savings(balance=2, rate=3),
        Document(title="d1"),
        Country(code="a", name="A"),
    ]
