"""Of many rows, which one it is that something is wrong with."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from hookline import Change, Hooks, ValidationError
from tests.http.cinema import Movie
from tests.http.conftest import Client


def refuse(change: Change[Movie]) -> None:
    if change.new["name"] == "Spoiler":
        raise ValidationError(change.entity, {"name": "says too much"})


@pytest.mark.parametrize("phase", ["before", "check", "after", "before_commit"])
async def test_a_row_is_told_by_its_place_in_each_phase(
    client: Client, hooks: Hooks, look: Session, phase: str
) -> None:
    hooks.add(refuse, phase, "save", Movie)
    look.add_all([Movie(name="Cléo"), Movie(name="Vagabond")])
    look.commit()
    async with client(allow_bulk_create=True, allow_bulk_patch=True) as http:
        sent = [{"name": "Stalker"}, {"name": "Spoiler"}]
        created = await http.post("/movies/bulk/", json=sent)
        assert created.status_code == 422, created.text
        assert [(one["field"], one["index"]) for one in created.json()["errors"]] == [("name", 1)]
        patched = await http.patch("/movies/?__all=true", json={"name": "Spoiler"})
        assert patched.status_code == 422, patched.text
        assert {one["index"] for one in patched.json()["errors"]} <= {0, 1}
        alone = await http.post("/movies/", json={"name": "Spoiler"})
        assert "index" not in alone.json()["errors"][0]
    assert look.query(Movie).count() == 2
