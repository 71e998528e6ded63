"""``hookline draw``: from the command line to the picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from hookline import Hooks
from hookline.sqlalchemy import attach
from hookline.workflow import Transition
from tests.workflow.parcels import Base, Mood, Parcel, Ticket, courier, desk, moods, nobody, parcels


def draw(*options: str, url: str = "sqlite://") -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-m", "hookline.cli", "draw", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=os.environ | {"TRACKER_URL": url}
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with a parcel that was returned, and a ticket that is busy."""
    path = tmp_path / "tracker.sqlite"
    engine = create_engine(f"sqlite:///{path}")
    hooks, shipping, tickets = Hooks(), parcels(), moods(editable=True)
    Base.metadata.create_all(engine)
    hooks.use(shipping)
    hooks.use(tickets)
    maker: Any = sessionmaker(engine, class_=type("Own", (Session,), {}))
    with attach(hooks, maker), maker() as session:
        parcel, ticket = Parcel(id=7), Ticket(project="p", number=1)
        session.add_all([parcel, ticket])
        shipping.of(parcel).approve(desk)
        shipping.of(parcel).approve(courier, to="returned")
        tickets.of(ticket).approve(nobody)
        ways = [Transition(Mood.OPEN, Mood.DONE)]
        tickets.publish(session, tickets.definition_of(Mood.OPEN, ways))
        session.commit()
    engine.dispose()
    return path


def test_the_only_workflow_of_a_rule_book() -> None:
    done = draw("tests.cli.tracker:lonely")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("OPEN", "BUSY", "DONE"))


def test_the_forms(tmp_path: Path) -> None:
    given = ("tests.cli.tracker:hooks", "--workflow", "parcel.status")
    assert draw(*given, "--form", "mermaid").stdout.startswith("stateDiagram-v2")
    assert draw(*given, "--form", "svg", "--output", str(tmp_path / "parcel.svg")).stdout == ""
    assert ET.parse(tmp_path / "parcel.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
def test_the_way_of_an_object(file: Path, driver: str) -> None:
    given = ("tests.cli.tracker:hooks", "--workflow", "parcel.status")
    done = draw(*given, "--key", "7", url=f"{driver}:///{file}")
    assert done.returncode == 0, done.stderr
    assert done.stdout != draw(*given).stdout
    assert "● returned" in done.stdout
    done = draw(*given, "--key", "8", url=f"{driver}:///{file}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no Parcel with the key 8" in done.stderr
    assert "'x'" in draw(*given, "--key", "x", url=f"{driver}:///{file}").stderr


def test_the_definition_of_the_database(file: Path) -> None:
    code = draw("tests.cli.tracker:lonely").stdout
    there = draw("tests.cli.tracker:lonely", "--current", url=f"sqlite:///{file}").stdout
    assert "BUSY" in code
    assert "BUSY" not in there
    assert "● BUSY" in draw("tests.cli.tracker:lonely", "--key", "p", "--key", "1", url=f"sqlite:///{file}").stdout


def test_what_is_not_there_is_told() -> None:
    assert "Say which workflow with --workflow: parcel.status, ticket.mood" in draw("tests.cli.tracker:hooks").stderr
    assert "Did you mean 'parcel.status'" in draw("tests.cli.tracker:hooks", "--workflow", "parcel.statu").stderr
    assert "uses no workflow. Write hooks.use(workflow)" in draw("tests.cli.tracker:none").stderr
