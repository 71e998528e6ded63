"""Rows of subclasses: in one table, or in several."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import ForeignKey, bindparam, delete, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from hookline import BypassError, Change, Hooks, PhaseError
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import fill
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target


class Base(DeclarativeBase):
    pass


class Animal(Base):
    __tablename__ = "animal"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}


class Dog(Animal):
    barks: Mapped[int | None] = mapped_column(use_existing_column=True)
    __mapper_args__ = {"polymorphic_identity": "dog"}


class Cat(Animal):
    lives: Mapped[int | None] = mapped_column(use_existing_column=True)
    __mapper_args__ = {"polymorphic_identity": "cat"}


class Vehicle(Base):
    __tablename__ = "vehicle"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}


class Car(Vehicle):
    __tablename__ = "car"
    id: Mapped[int] = mapped_column(ForeignKey("vehicle.id"), primary_key=True)
    doors: Mapped[int] = mapped_column(default=4)
    __mapper_args__ = {"polymorphic_identity": "car"}


class Taxi(Car):
    __tablename__ = "taxi"
    id: Mapped[int] = mapped_column(ForeignKey("car.id"), primary_key=True)
    fares: Mapped[int] = mapped_column(default=0)
    __mapper_args__ = {"polymorphic_identity": "taxi"}


def animals(session: Session) -> None:
    fill(session, Animal(id=1, name="a"), Dog(id=2, name="d", barks=3), Cat(id=3, name="c", lives=9))


def vehicles(session: Session) -> None:
    fill(session, Vehicle(id=1, name="v"), Car(id=2, name="c", doors=2), Taxi(id=3, name="t", fares=7))


@every_way
def test_the_model_of_a_change_is_the_rows_own_class(hooks: Hooks, session: Session, way: str) -> None:
    animals(session)
    log, net = logged(hooks, "after", Animal), committed(hooks, Animal)
    send(session, way, update(target(way, Animal)).values(name="x"))
    session.commit()
    told = [
        ("update", "Animal", {"name": ("a", "x")}),
        ("update", "Cat", {"name": ("c", "x")}),
        ("update", "Dog", {"name": ("d", "x")}),
    ]
    assert sorted(log, key=repr) == net == told


def test_the_class_of_single_table_inheritance_is_part_of_the_criteria(hooks: Hooks, session: Session) -> None:
    animals(session)
    log = logged(hooks, "after", Animal)
    session.execute(update(Dog).values(name="x"))
    session.execute(delete(Cat))
    assert log == [
        ("update", "Dog", {"name": ("d", "x")}),
        ("delete", "Cat", {"id": 3, "kind": "cat", "lives": 9, "name": "c"}),
    ]


@every_way
def test_hooks_of_a_subclass_see_its_rows_only(hooks: Hooks, session: Session, way: str) -> None:
    animals(session)
    log = logged(hooks, "after", Dog)
    before = logged(hooks, "before", Dog)
    send(session, way, update(target(way, Animal)).values(name="x"))
    assert before == log == [("update", "Dog", {"name": ("d", "x")})]


@every_way
def test_whole_rows_have_the_columns_of_the_subclass(hooks: Hooks, session: Session, way: str) -> None:
    vehicles(session)
    seen: dict[str, Any] = {}

    @hooks.after("update", Vehicle)
    def note(change: Change[Any]) -> None:
        seen[change.model.__name__] = (dict(change.old), change.new["name"])

    send(session, way, update(target(way, Vehicle)).values(name="x"))
    assert seen == {
        "Vehicle": ({"id": 1, "kind": "vehicle", "name": "v"}, "x"),
        "Car": ({"id": 2, "kind": "car", "name": "c", "doors": 2}, "x"),
        "Taxi": ({"id": 3, "kind": "taxi", "name": "t", "doors": 4, "fares": 7}, "x"),
    }


@every_way
def test_an_update_of_the_table_of_a_subclass(hooks: Hooks, session: Session, way: str) -> None:
    vehicles(session)
    log = logged(hooks, "after", Vehicle)
    send(session, way, update(target(way, Car)).values(doors=5))
    assert sorted(log, key=repr) == [("update", "Car", {"doors": (2, 5)}), ("update", "Taxi", {"doors": (4, 5)})]


@every_way
def test_values_computed_from_a_joined_row(hooks: Hooks, session: Session, way: str) -> None:
    vehicles(session)
    checked, log = logged(hooks, "check", Vehicle), logged(hooks, "after", Vehicle)
    send(
        session, way, update(target(way, Car)).where(Car.__table__.c.doors < 3).values(doors=Car.__table__.c.doors * 2)
    )
    assert checked == log == [("update", "Car", {"doors": (2, 4)})]


@every_way
def test_edits_of_joined_rows(hooks: Hooks, session: Session, sent: Sent, way: str) -> None:
    vehicles(session)

    @hooks.before("update", Vehicle)
    def edit(change: Change[Any]) -> None:
        change.new["name"] = f"{change.new['name']}{change.key}"

    sent.clear()
    send(session, way, update(target(way, Vehicle)).values(name="x"))
    assert len(sent.writes) == 1
    assert session.scalars(select(Vehicle.name).order_by(Vehicle.id)).all() == ["x1", "x2", "x3"]


def test_an_edit_of_another_table_of_the_row_is_refused(hooks: Hooks, session: Session, sent: Sent) -> None:
    vehicles(session)

    @hooks.before("update", Car)
    def edit(change: Change[Car]) -> None:
        change.new["doors"] = 9

    sent.clear()
    with pytest.raises(PhaseError, match="doors"):
        session.execute(update(Vehicle).values(name="x"))
    assert sent.writes == []


def test_a_list_of_rows_is_inserted_into_all_tables(hooks: Hooks, session: Session) -> None:
    @hooks.before("insert", Vehicle)
    def edit(change: Change[Any]) -> None:
        change.new["fares"] += 1

    log, net = logged(hooks, "after", Vehicle), committed(hooks, Vehicle)
    session.execute(insert(Taxi), [{"name": "a"}, {"name": "b", "fares": 5}])
    session.commit()
    told = [
        ("insert", "Taxi", {"doors": 4, "fares": 1, "id": 1, "kind": "taxi", "name": "a"}),
        ("insert", "Taxi", {"doors": 4, "fares": 6, "id": 2, "kind": "taxi", "name": "b"}),
    ]
    assert log == net == told
    assert [(one.name, one.doors, one.fares) for one in session.scalars(select(Taxi).order_by(Taxi.id))] == [
        ("a", 4, 1),
        ("b", 4, 6),
    ]


def test_returning_entities_of_all_tables(hooks: Hooks, session: Session) -> None:
    log = logged(hooks, "after", Vehicle)
    found = session.scalars(insert(Car).returning(Car), [{"name": "a"}, {"name": "b"}]).all()
    assert sorted((one.name, one.doors) for one in found) == [("a", 4), ("b", 4)]
    assert len(log) == 2


def test_a_list_of_rows_is_updated_in_all_tables(hooks: Hooks, session: Session) -> None:
    vehicles(session)

    @hooks.before("update", Vehicle)
    def edit(change: Change[Any]) -> None:
        change.new["fares"] = 100

    log = logged(hooks, "after", Vehicle)
    session.execute(update(Taxi), [{"id": 3, "name": "x", "doors": 6}])
    assert log == [("update", "Taxi", {"doors": (4, 6), "fares": (7, 100), "name": ("t", "x")})]
    taxi = session.get_one(Taxi, 3)
    assert (taxi.name, taxi.doors, taxi.fares) == ("x", 6, 100)


def test_rows_of_subclasses_in_a_list_of_the_base_class(hooks: Hooks, session: Session) -> None:
    vehicles(session)
    log = logged(hooks, "after", Vehicle)
    session.execute(update(Vehicle), [{"id": 1, "name": "x"}, {"id": 3, "name": "y"}])
    assert log == [("update", "Vehicle", {"name": ("v", "x")}), ("update", "Taxi", {"name": ("t", "y")})]


@every_way
def test_inserted_rows_of_one_table_say_their_class(hooks: Hooks, session: Session, way: str) -> None:
    log = logged(hooks, "after", Animal)
    rows = [{"name": "a", "kind": "dog", "barks": 1}, {"name": "b", "kind": "dog", "barks": 2}]
    if way == "orm":
        session.execute(insert(Dog), [{"name": row["name"], "barks": row["barks"]} for row in rows])
    else:
        send(session, way, insert(target(way, Animal)), rows)
    assert [row[:2] for row in log] == [("insert", "Dog"), ("insert", "Dog")]
    assert [row[2]["barks"] for row in log] == [1, 2]


@every_way
def test_a_discriminator_that_is_updated(hooks: Hooks, session: Session, way: str) -> None:
    animals(session)
    log = logged(hooks, "after", Animal)
    send(session, way, update(target(way, Animal)).where(Animal.__table__.c.id == 2).values(kind="cat"))
    assert [(row[0], row[2]["kind"]) for row in log] == [("update", ("dog", "cat"))]


# -- what writes only a part of a row


@every_way
def test_a_delete_of_one_part_of_rows_is_refused(hooks: Hooks, session: Session, way: str) -> None:
    vehicles(session)
    logged(hooks, "after", Vehicle, bypass="refuse")
    with pytest.raises(BypassError, match="deletes one part of rows"):
        send(session, way, delete(target(way, Car)))
    assert len(session.scalars(select(Car)).all()) == 2


@every_way
def test_an_insert_of_one_part_of_rows_is_refused(hooks: Hooks, session: Session, way: str) -> None:
    vehicles(session)
    logged(hooks, "after", Vehicle, bypass="refuse")
    with pytest.raises(BypassError, match="writes one part of rows"):
        send(session, way, insert(target(way, Car)).values(id=1, doors=3))


@pytest.mark.parametrize("way", ["core", "connection"])
def test_a_delete_of_rows_without_parts(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Vehicle(id=1, name="v"), Vehicle(id=2, name="w"))
    log = logged(hooks, "after", Vehicle)
    statement = delete(target(way, Vehicle)).where(target(way, Vehicle).c.id == bindparam("n"))
    send(session, way, statement, {"n": 2})
    assert log == [("delete", "Vehicle", {"id": 2, "kind": "vehicle", "name": "w"})]


def test_older_methods_write_all_tables(hooks: Hooks, session: Session) -> None:
    log, net = logged(hooks, "after", Vehicle), committed(hooks, Vehicle)
    session.bulk_insert_mappings(Taxi, [{"name": "a", "fares": 3}])  # type: ignore[arg-type]
    session.bulk_save_objects([Car(name="b", doors=2)])
    key = session.scalars(select(Taxi.id)).one()
    session.bulk_update_mappings(Taxi, [{"id": key, "name": "c", "fares": 4}])  # type: ignore[arg-type]
    assert [(row[0], row[1]) for row in log] == [("insert", "Taxi"), ("insert", "Car"), ("update", "Taxi")]
    assert log[2][2] == {"fares": (3, 4), "name": ("a", "c")}
    session.commit()
    assert sorted((row[0], row[2]["name"]) for row in net) == [("insert", "b"), ("insert", "c")]
