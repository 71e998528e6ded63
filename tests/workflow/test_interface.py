"""The interface by example: a workflow as one would write it, with the application's own users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Engine, ForeignKey, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

from hookline import Hooks, ValidationError, enters, leaves
from hookline.registrations import DatabaseRegistrations
from hookline.sqlalchemy import attach
from hookline.workflow import Approval, Transition, Workflow, users_of


class Base(DeclarativeBase):
    pass


class Shipping(Base):
    __tablename__ = "shipping"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str | None]
    fragile: Mapped[bool] = mapped_column(default=False)


membership = Table(
    "membership",
    Base.metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True),
    Column("team_id", ForeignKey("team.id"), primary_key=True),
)
grant = Table(
    "team_right",
    Base.metadata,
    Column("team_id", ForeignKey("team.id"), primary_key=True),
    Column("right_id", ForeignKey("right_.id"), primary_key=True),
)


class Right(Base):
    __tablename__ = "right_"
    id: Mapped[int] = mapped_column(primary_key=True)
    codename: Mapped[str]


class Team(Base):
    __tablename__ = "team"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    rights: Mapped[list[Right]] = relationship(secondary=grant)


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    teams: Mapped[list[Team]] = relationship(secondary=membership)


hooks = Hooks()
told: list[str] = []

wf = Workflow(
    Shipping.status,
    initial="ordered",
    transitions=[
        Transition("ordered", "shipped", Approval(permissions="can_ship")),
        Transition("shipped", "arrived", approvals=[Approval(groups={"courier"}), Approval(users=[7], groups="desk")]),
    ],
    users=users_of(
        groups="teams", group_name="title", permissions=None, groups_permissions="rights", permission_name="codename"
    ),
)
hooks.use(wf)


@hooks.before("transition", Shipping.status, when=leaves("shipped") & enters("arrived"))
def signed(change: Any, entity: Shipping) -> None:
    if entity.fragile:
        raise ValidationError(entity, {"status": "look into the box first"})


@hooks.after_commit("complete", Shipping.status)
def thank(change: Any) -> None:
    told.append(f"thank you for {change.key}, {change.by}")


@hooks.callback
def congratulate(workflow_object: Shipping, field_name: str, transition_approval: Any = None) -> None:
    told.append(f"{field_name} of {workflow_object.id} is {workflow_object.status}")


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(engine)
    registrations = DatabaseRegistrations(engine)
    registrations.create_tables()
    maker = sessionmaker(engine)
    hooks.sources.all = ()
    hooks.use(registrations)
    told.clear()
    with attach(hooks, maker), maker() as session:
        registrations.add(
            "congratulate", "after", "transition", Shipping.status, instance=(Shipping, 1), when={"enters": "arrived"}
        )  # fmt: skip
        yield session


def test_a_box_goes_its_way(session: Session) -> None:
    ship = Right(codename="can_ship")
    desk, couriers = Team(title="desk", rights=[ship]), Team(title="courier")
    ann, bob, eve = Account(teams=[desk]), Account(teams=[couriers]), Account(id=7)
    boxes = [Shipping(id=number) for number in (1, 2)]
    session.add_all([ann, bob, eve, *boxes])
    session.commit()
    box = boxes[0]
    wf.of(box).hook_post_transition(congratulate, source_state="ordered", destination_state="shipped")
    session.commit()

    assert session.scalars(wf.awaiting(ann).order_by(Shipping.id)).all() == boxes
    wf.of(box).approve(ann)
    wf.of(boxes[1]).approve(ann, to="shipped")
    assert session.scalars(wf.awaiting(ann)).all() == session.scalars(wf.awaiting(eve)).all() == []
    wf.of(box).approve(bob)
    assert session.scalars(wf.awaiting(eve)).all() == session.scalars(wf.awaiting(ann)).all() == [box]
    box.fragile = True
    with pytest.raises(ValidationError, match="look into the box first"):
        wf.of(box).approve(eve)
    box.fragile = False
    wf.of(box).approve(eve)
    session.commit()
    assert told == ["status of 1 is shipped", "status of 1 is arrived", "thank you for 1, 7"]
    assert [(one.destination, one.by) for one in wf.of(box).history] == [
        ("shipped", str(ann.id)),
        ("arrived", str(bob.id)),
        ("arrived", "7"),
    ]
