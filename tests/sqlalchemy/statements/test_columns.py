"""All sorts of columns: composites, synonyms, types, versions, values that columns set by themselves."""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import JSON, Integer, String, TypeDecorator, func, insert, select, text, update
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, composite, deferred, mapped_column, synonym

from hookline import Change, Hooks
from tests.sqlalchemy.recording import committed, logged
from tests.sqlalchemy.statements.schema import fill
from tests.sqlalchemy.statements.sent import Sent
from tests.sqlalchemy.statements.ways import every_way, send, target

ticks = itertools.count(1)


class Base(DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Reversed(TypeDecorator[str]):
    """Stored backwards."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return None if value is None else value[::-1]

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else value[::-1]


@dataclass
class Point:
    x: int
    y: int


class Thing(Base):
    __tablename__ = "thing"
    id: Mapped[int] = mapped_column("thing_id", primary_key=True)
    label: Mapped[str] = mapped_column("the_label", default="")
    colour: Mapped[Colour] = mapped_column(default=Colour.RED)
    data: Mapped[dict[str, Any]] = mapped_column(MutableDict.as_mutable(JSON), default=dict)
    secret: Mapped[str | None] = mapped_column(Reversed)
    notes: Mapped[str | None] = deferred(mapped_column(String))
    at: Mapped[Point] = composite(mapped_column("x", default=0), mapped_column("y", default=0))
    title = synonym("label")

    @hybrid_property
    def loud(self) -> str:
        return self.label.upper()

    @loud.inplace.expression
    @classmethod
    def _loud(cls) -> Any:
        return func.upper(cls.label)

    @loud.inplace.update_expression
    @classmethod
    def _set_loud(cls, value: Any) -> Any:
        return [(cls.label, func.lower(value))]


class Stamped(Base):
    __tablename__ = "stamped"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(default="new", onupdate="changed")
    tick: Mapped[int] = mapped_column(default=0, onupdate=lambda: next(ticks))
    twice: Mapped[int] = mapped_column(default=0, onupdate=text("twice + 2"))


class Versioned(Base):
    __tablename__ = "versioned"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int] = mapped_column(Integer, nullable=False)
    __mapper_args__ = {"version_id_col": version}


@every_way
def test_an_attribute_with_another_name_than_its_column(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Thing(id=1, label="a"))
    before, log = logged(hooks, "before", Thing), logged(hooks, "after", Thing)
    key = "label" if way == "orm" else "the_label"
    send(session, way, update(target(way, Thing)).values({key: "b"}))
    assert before == log == [("update", "Thing", {"label": ("a", "b")})]


@every_way
def test_an_attribute_with_another_name_can_be_edited(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Thing(id=1, label="a"), Thing(id=2, label="b"))

    @hooks.before("save", Thing)
    def edit(change: Change[Thing]) -> None:
        change.new["label"] = f"{change.new['label']}{change.key}"

    send(session, way, update(target(way, Thing)).values({"secret": "s"}))
    assert session.scalars(select(Thing.label).order_by(Thing.id)).all() == ["a1", "b2"]
    rows: list[dict[str, Any]] = [{"id": 3, "label": "c"}] if way == "orm" else [{"thing_id": 3, "the_label": "c"}]
    send(session, way, insert(target(way, Thing)), rows)
    assert session.scalars(select(Thing.label).order_by(Thing.id)).all() == ["a1", "b2", "c3"]


@every_way
def test_types_show_their_python_values(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Thing(id=1, secret="abc", data={"a": 1}))
    log, net = logged(hooks, "after", Thing), committed(hooks, Thing)
    send(session, way, update(target(way, Thing)).values({"colour": Colour.BLUE, "secret": "xyz", "data": {"a": 2}}))
    session.commit()
    told = {"colour": (Colour.RED, Colour.BLUE), "data": ({"a": 1}, {"a": 2}), "secret": ("abc", "xyz")}
    assert log == net == [("update", "Thing", told)]


@every_way
def test_types_are_edited_by_python_values(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Thing(id=1, secret="abc"), Thing(id=2, secret="def"))

    @hooks.before("update", Thing)
    def edit(change: Change[Thing]) -> None:
        change.new["secret"] = f"{change.new['secret']}{change.key}"
        change.new["colour"] = Colour.BLUE if change.key == 2 else Colour.RED
        change.new["data"] = {"key": change.key}

    log = logged(hooks, "after", Thing)
    send(session, way, update(target(way, Thing)).values({"secret": "s"}))
    found = session.execute(select(Thing.secret, Thing.colour, Thing.data).order_by(Thing.id)).all()
    assert found == [("s1", Colour.RED, {"key": 1}), ("s2", Colour.BLUE, {"key": 2})]
    assert log[1][2] == {
        "colour": (Colour.RED, Colour.BLUE),
        "data": ({}, {"key": 2}),
        "secret": ("def", "s2"),
    }


def test_json_that_is_edited_in_place_by_the_entity(hooks: Hooks, session: Session) -> None:
    fill(session, Thing(id=1, data={"a": 1}))

    @hooks.before("update", Thing)
    def edit(change: Change[Thing]) -> None:
        change.entity.data["b"] = 2

    log = logged(hooks, "after", Thing)
    session.execute(update(Thing).values(label="b"))
    assert session.scalars(select(Thing.data)).all() == [{"a": 1, "b": 2}]
    assert log == [("update", "Thing", {"data": ({"a": 1}, {"a": 1, "b": 2}), "label": ("", "b")})]


def test_json_none_and_null(hooks: Hooks, session: Session) -> None:
    fill(session, Thing(id=1, data={"a": 1}))
    log = logged(hooks, "after", Thing)
    session.execute(update(Thing).values(data={"b": None}))
    assert log == [("update", "Thing", {"data": ({"a": 1}, {"b": None})})]


def test_a_deferred_column_has_its_real_old_value(hooks: Hooks, session: Session) -> None:
    fill(session, Thing(id=1, notes="long", label="a"))
    seen: list[Any] = []

    @hooks.before("update", Thing)
    def note(change: Change[Thing]) -> None:
        seen.append((change.old["notes"], change.new["notes"], "notes" in change.fields))

    log = logged(hooks, "after", Thing)
    session.execute(update(Thing).values(notes="longer"))
    session.execute(update(Thing).values(label="b"))
    assert seen == [("long", "longer", True), ("longer", "longer", False)]
    assert log == [("update", "Thing", {"notes": ("long", "longer")}), ("update", "Thing", {"label": ("a", "b")})]


def test_a_deferred_column_that_is_edited(hooks: Hooks, session: Session) -> None:
    fill(session, Thing(id=1, notes="long", label="a"))

    @hooks.before("update", Thing)
    def edit(change: Change[Thing]) -> None:
        change.new["notes"] = "longer"

    log = logged(hooks, "after", Thing)
    session.execute(update(Thing).values(label="b"))
    assert log == [("update", "Thing", {"label": ("a", "b"), "notes": ("long", "longer")})]


def test_a_composite(hooks: Hooks, session: Session) -> None:
    fill(session, Thing(id=1, at=Point(1, 2)))
    seen: list[Any] = []

    @hooks.before("update", Thing)
    def note(change: Change[Thing]) -> None:
        seen.append((change.old["at"], change.new["at"]))

    log = logged(hooks, "after", Thing)
    session.execute(update(Thing).values({Thing.at: Point(3, 4)}))
    assert seen == [(Point(1, 2), Point(3, 4))]
    assert [set(row[2].values()) for row in log] == [{(1, 3), (2, 4)}]


def test_a_composite_that_is_edited(hooks: Hooks, session: Session) -> None:
    fill(session, Thing(id=1, at=Point(1, 2)))

    @hooks.before("update", Thing)
    def edit(change: Change[Thing]) -> None:
        change.new["at"] = Point(7, 8)

    session.execute(update(Thing).values(label="b"))
    assert session.get_one(Thing, 1).at == Point(7, 8)


def test_a_composite_in_a_list_of_rows(hooks: Hooks, session: Session) -> None:
    seen: list[Any] = []

    @hooks.check("save", Thing)
    def note(change: Change[Thing]) -> None:
        seen.append(change.new["at"])

    session.execute(insert(Thing), [{"id": 1, "at": Point(1, 2)}])
    session.execute(update(Thing), [{"id": 1, "at": Point(3, 4)}])
    assert seen == [Point(1, 2), Point(3, 4)]
    assert session.get_one(Thing, 1).at == Point(3, 4)


def test_a_synonym(hooks: Hooks, session: Session) -> None:
    fill(session, Thing(id=1, label="a"))

    @hooks.before("update", Thing)
    def edit(change: Change[Thing]) -> None:
        assert (change.old["title"], change.new["title"]) == ("a", "b")
        change.new["title"] = "c"

    log = logged(hooks, "after", Thing)
    session.execute(update(Thing).values(title="b"))
    assert log == [("update", "Thing", {"label": ("a", "c")})]


def test_a_hybrid(hooks: Hooks, session: Session) -> None:
    fill(session, Thing(id=1, label="a"))
    seen: list[Any] = []

    @hooks.check("update", Thing)
    def note(change: Change[Thing]) -> None:
        seen.append((change.old["loud"], change.new["loud"]))

    log = logged(hooks, "after", Thing)
    session.execute(update(Thing).values({Thing.loud: "BIG"}))
    assert seen == [("A", "BIG")]
    assert log == [("update", "Thing", {"label": ("a", "big")})]


@every_way
def test_columns_that_set_themselves_are_seen_and_written_as_seen(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Stamped(id=1, name="a"), Stamped(id=2, name="b"))
    checked: dict[int, Any] = {}

    @hooks.check("update", Stamped)
    def note(change: Change[Stamped]) -> None:
        checked[change.key] = (change.new["kind"], change.new["tick"], change.new["twice"])

    log = logged(hooks, "after", Stamped)
    send(session, way, update(target(way, Stamped)).values(name="c"))
    found = session.execute(select(Stamped.id, Stamped.kind, Stamped.tick, Stamped.twice)).all()
    assert {key: (kind, tick, twice) for key, kind, tick, twice in found} == checked
    assert {(row[2]["kind"][1], row[2]["tick"][1], row[2]["twice"][1]) for row in log} == set(checked.values())


def test_columns_that_set_themselves_can_be_edited(hooks: Hooks, session: Session) -> None:
    fill(session, Stamped(id=1, name="a"), Stamped(id=2, name="b"))

    @hooks.before("update", Stamped)
    def edit(change: Change[Stamped]) -> None:
        if change.key == 1:
            change.new["kind"], change.new["tick"], change.new["twice"] = "mine", -1, -1

    session.execute(update(Stamped).values(name="c"))
    found = session.execute(select(Stamped.kind, Stamped.tick > 0, Stamped.twice).order_by(Stamped.id)).all()
    assert found == [("mine", False, -1), ("changed", True, 2)]


def test_columns_that_set_themselves_in_a_list_of_rows(hooks: Hooks, session: Session) -> None:
    fill(session, Stamped(id=1, name="a"), Stamped(id=2, name="b"))
    log = logged(hooks, "after", Stamped)
    session.execute(update(Stamped), [{"id": 1, "name": "c"}, {"id": 2, "name": "d"}])
    found = session.execute(select(Stamped.kind, Stamped.tick, Stamped.twice).order_by(Stamped.id)).all()
    assert [(row[2]["kind"][1], row[2]["tick"][1], row[2]["twice"][1]) for row in log] == found


def test_a_version_counter_in_a_list_of_rows(hooks: Hooks, session: Session) -> None:
    fill(session, Versioned(id=1, name="a"))
    log = logged(hooks, "after", Versioned)
    session.execute(update(Versioned), [{"id": 1, "name": "b", "version": 1}])
    assert log == [("update", "Versioned", {"name": ("a", "b"), "version": (1, 2)})]


@every_way
def test_a_version_counter_by_criteria(hooks: Hooks, session: Session, way: str) -> None:
    fill(session, Versioned(id=1, name="a"))
    log = logged(hooks, "after", Versioned)
    send(session, way, update(target(way, Versioned)).values(name="b"))
    stored = session.scalars(select(Versioned.version)).one()
    told: dict[str, Any] = {"name": ("a", "b")}
    if stored != 1:
        told["version"] = (1, stored)
    assert log == [("update", "Versioned", told)]


@pytest.mark.parametrize("several", [False, True])
def test_a_version_counter_of_inserted_rows(hooks: Hooks, session: Session, several: bool) -> None:
    log = logged(hooks, "after", Versioned)
    rows = [{"name": "a"}, {"name": "b"}]
    session.execute(insert(Versioned), rows if several else rows[:1])
    assert [row[2]["version"] for row in log] == [1, 1][: 1 + several]


def test_an_unhooked_column_is_sent_nothing_more(hooks: Hooks, session: Session, sent: Sent) -> None:
    fill(session, Stamped(id=1, name="a"))
    hooks.add(lambda change: None, "after", "delete", Stamped, name="nothing")
    sent.clear()
    session.execute(update(Stamped).values(name="b"))
    assert len(sent.writes) == 1
    assert sent.reads == []
