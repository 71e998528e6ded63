"""What tests of workflows share: parcels with two approvals for a step and a way back, tickets that are re-opened."""

from __future__ import annotations

import enum
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from hookline.workflow import Actor, Approval, State, Transition, Workflow


class Base(DeclarativeBase):
    pass


class Parcel(Base):
    __tablename__ = "parcel"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str | None]
    kind: Mapped[str] = mapped_column(default="parcel")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "parcel"}


class Box(Parcel):
    __mapper_args__ = {"polymorphic_identity": "box"}


class Mood(enum.Enum):
    OPEN = "o"
    BUSY = "b"
    DONE = "d"


class Ticket(Base):
    """Two fields of state, and a key of two columns."""

    __tablename__ = "ticket"
    project: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mood: Mapped[Mood | None]
    review: Mapped[str | None]


class Stage(Base):
    __tablename__ = "stage"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Order(Base):
    """Its states are rows."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[int | None] = mapped_column(ForeignKey("stage.id"))
    stage: Mapped[Stage | None] = relationship()


DESK = Approval(groups="desk")
COURIER = Approval(groups="courier")
SIGNED = Approval(permissions="sign", users=["42"])

desk = Actor("1", frozenset({"desk"}))
courier = Actor("2", frozenset({"courier"}))
boss = Actor("3", frozenset({"desk", "courier"}), frozenset({"sign"}))
chosen = Actor("42")
nobody = Actor("9")

SHIPPING = [
    Transition("new", "sent", DESK),
    Transition("sent", "arrived", [COURIER, SIGNED]),
    Transition("sent", "returned", COURIER),
    Transition("returned", "sent", DESK),
]


def parcels(**options: Any) -> Workflow:
    """new -> sent -> arrived, or returned and sent again."""
    given = {"initial": "new", "transitions": SHIPPING, "states": [State("lost", jump_only=True)]}
    return Workflow(Parcel.status, **given | options)


def moods(**options: Any) -> Workflow:
    """OPEN -> BUSY -> DONE, and DONE -> OPEN again, for anybody."""
    ways = [Transition(Mood.OPEN, Mood.BUSY), Transition(Mood.BUSY, Mood.DONE), Transition(Mood.DONE, Mood.OPEN)]
    return Workflow(Ticket.mood, initial=Mood.OPEN, transitions=ways, **options)
