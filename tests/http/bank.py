"""A bank: rows of the kind that people would like to get at."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Computed, DateTime, ForeignKey, Numeric, SmallInteger, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase): ...


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class Branch(Base):
    __tablename__ = "branch"
    id: Mapped[int] = mapped_column(primary_key=True)
    town: Mapped[str] = mapped_column(String(40))
    alarm_code: Mapped[str | None] = mapped_column(info={"secret": True})
    accounts: Mapped[list[Account]] = relationship(back_populates="branch", passive_deletes="all")


class Account(Base):
    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("balance >= 0", name="balance_not_negative"),
        CheckConstraint("pin <> '0000'", name="pin_is_no_joke"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(20), unique=True)
    balance: Mapped[int] = mapped_column(default=0)
    rank: Mapped[int] = mapped_column(SmallInteger, default=0)
    rate: Mapped[float | None]
    credit: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    weight: Mapped[Decimal | None] = mapped_column(Numeric)
    opened_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None]
    settings: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    doubled: Mapped[int] = mapped_column(Computed("balance * 2", persisted=True))
    pin: Mapped[str | None] = mapped_column(info={"secret": True}, unique=True)
    _rumour: Mapped[str | None] = mapped_column()
    checked_by: Mapped[str | None] = mapped_column(default="nobody")
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))
    branch: Mapped[Branch | None] = relationship(back_populates="accounts")
    _neighbours: Mapped[list[Account]] = relationship(
        primaryjoin="foreign(Account.branch_id) == remote(Account.branch_id)", viewonly=True, uselist=True
    )
    changed_at: Mapped[datetime] = mapped_column(default=_now, onupdate=_now)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}
