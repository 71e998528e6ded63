"""The tables of the Chinook music store.

Columns are named as in the data. What is not in the data, and is kept by the rules instead, is marked so.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import JSON, Column, ForeignKey, Integer, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


class Money(TypeDecorator[Decimal]):
    """A price, stored as whole cents: exact on every database, SQLite included."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value * 100)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value) / 100


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {Decimal: Money, dict[str, Any]: JSON}


# --- the catalogue -------------------------------------------------------------------------------


class Genre(Base):
    __tablename__ = "genre"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class MediaType(Base):
    __tablename__ = "media_type"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Artist(Base):
    __tablename__ = "artist"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    slug: Mapped[str] = mapped_column(unique=True)  # by a rule


class Album(Base):
    __tablename__ = "album"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    slug: Mapped[str] = mapped_column(unique=True)  # by a rule
    artist_id: Mapped[int] = mapped_column(ForeignKey("artist.id"))
    artist: Mapped[Artist] = relationship()


playlist_track = Table(
    "playlist_track",
    Base.metadata,
    Column("playlist_id", ForeignKey("playlist.id"), primary_key=True),
    Column("track_id", ForeignKey("track.id"), primary_key=True),
)


class Track(Base):
    __tablename__ = "track"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    composer: Mapped[str | None]
    milliseconds: Mapped[int]
    bytes: Mapped[int | None]
    unit_price: Mapped[Decimal]
    album_id: Mapped[int] = mapped_column(ForeignKey("album.id"))
    genre_id: Mapped[int] = mapped_column(ForeignKey("genre.id"))
    mediatype_id: Mapped[int] = mapped_column(ForeignKey("media_type.id"))
    album: Mapped[Album] = relationship()
    playlists: Mapped[list[Playlist]] = relationship(secondary=playlist_track, back_populates="tracks")


class Playlist(Base):
    __tablename__ = "playlist"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    slug: Mapped[str] = mapped_column(unique=True)  # by a rule
    track_count: Mapped[int] = mapped_column(default=0)  # by a rule
    tracks: Mapped[list[Track]] = relationship(secondary=playlist_track, back_populates="playlists")


class Player(Base):
    """The loudspeaker of a shop, and what it plays."""

    __tablename__ = "player"
    id: Mapped[int] = mapped_column(primary_key=True)
    track_id: Mapped[int] = mapped_column(ForeignKey("track.id"))
    track: Mapped[Track] = relationship()


# --- people --------------------------------------------------------------------------------------


class Contact:
    """What is known of employees and customers alike."""

    firstname: Mapped[str]
    lastname: Mapped[str]
    address: Mapped[str | None]
    city: Mapped[str | None]
    state: Mapped[str | None]
    country: Mapped[str | None]
    postalcode: Mapped[str | None]
    phone: Mapped[str | None]
    fax: Mapped[str | None]
    email: Mapped[str] = mapped_column(unique=True)

    @property
    def fullname(self) -> str:
        return f"{self.firstname} {self.lastname}"


class Employee(Contact, Base):
    __tablename__ = "employee"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    birthdate: Mapped[date]
    hiredate: Mapped[date]
    reports_to_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"))
    reports_to: Mapped[Employee | None] = relationship(remote_side="Employee.id")


class Customer(Contact, Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    company: Mapped[str | None]
    support_rep_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"))
    support_rep: Mapped[Employee | None] = relationship()


# --- sales ---------------------------------------------------------------------------------------


class Invoice(Base):
    __tablename__ = "invoice"
    id: Mapped[int] = mapped_column(primary_key=True)
    invoicedate: Mapped[date]
    billingaddress: Mapped[str | None]
    billingcity: Mapped[str | None]
    billingstate: Mapped[str | None]
    billingcountry: Mapped[str | None]
    billingpostalcode: Mapped[str | None]
    total: Mapped[Decimal] = mapped_column(default=Decimal(0))  # by a rule
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer] = relationship()
    lines: Mapped[list[InvoiceLine]] = relationship(back_populates="invoice")


class InvoiceLine(Base):
    __tablename__ = "invoice_line"
    id: Mapped[int] = mapped_column(primary_key=True)
    unit_price: Mapped[Decimal]
    quantity: Mapped[int]
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id", ondelete="CASCADE"))
    track_id: Mapped[int] = mapped_column(ForeignKey("track.id"))
    invoice: Mapped[Invoice] = relationship(back_populates="lines")
    track: Mapped[Track] = relationship()


class Receipt(Base):
    """That an invoice was sent to whoever has to pay it. Written by a worker."""

    __tablename__ = "receipt"
    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"))
    delivery: Mapped[str]


# --- the audit trail -----------------------------------------------------------------------------


class AuditEntry(Base):
    """What one transaction did to one row, in the end. Written by a rule, never by hand."""

    __tablename__ = "audit_entry"
    id: Mapped[int] = mapped_column(primary_key=True)
    who: Mapped[str]
    event: Mapped[str]
    model: Mapped[str]
    key: Mapped[int]
    fields: Mapped[dict[str, Any]]  # {"unit_price": ["0.99", "1.29"]}: from, to
