"""A cinema: rows of every kind that people serve."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, Column, DateTime, ForeignKey, Numeric, String, Table, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase): ...


class Colour(enum.Enum):
    COLOUR = "colour"
    BLACK_AND_WHITE = "black and white"


movie_genre = Table(
    "movie_genre",
    Base.metadata,
    Column("movie_id", ForeignKey("movie.id"), primary_key=True),
    Column("genre_id", ForeignKey("genre.id"), primary_key=True),
)


class Director(Base):
    __tablename__ = "director"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    movies: Mapped[list[Movie]] = relationship(back_populates="director")


class Genre(Base):
    __tablename__ = "genre"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))


class Movie(Base):
    __tablename__ = "movie"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), comment="As it is on the poster.")
    rating: Mapped[float | None]
    year: Mapped[int] = mapped_column(default=2000)
    price: Mapped[Decimal | None] = mapped_column(Numeric(8, 2))
    colour: Mapped[Colour] = mapped_column(default=Colour.COLOUR)
    seen: Mapped[bool] = mapped_column(default=False)
    released: Mapped[date | None]
    shown_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    negative: Mapped[bytes | None]
    budget_secret: Mapped[str | None] = mapped_column(info={"secret": True})
    director_id: Mapped[int | None] = mapped_column(ForeignKey("director.id"))
    director: Mapped[Director | None] = relationship(back_populates="movies")
    genres: Mapped[list[Genre]] = relationship(secondary=movie_genre)
    changed_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC), onupdate=lambda: datetime.now(UTC))


class Screening(Base):
    """A key of two columns, one of which is text."""

    __tablename__ = "screening"
    hall: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    movie_id: Mapped[int | None] = mapped_column(ForeignKey("movie.id"))
    seats: Mapped[int] = mapped_column(default=100)


class Ticket(Base):
    """A row with a version."""

    __tablename__ = "ticket"
    id: Mapped[int] = mapped_column(primary_key=True)
    holder: Mapped[str] = mapped_column(String(40))
    count: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}
    __table_args__ = (UniqueConstraint("holder"),)
