"""Writes that go around hooks make tests fail, if they are asked to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, StaticPool, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from hookline import Hooks, UnhookedWriteWarning
from hookline.sqlalchemy import attach
from hookline.testing import strict

ROOT = Path(__file__).parents[2]
UPDATE = text("UPDATE person SET age = 300")


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    age: Mapped[int]


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    hooks, maker = Hooks(), sessionmaker(engine)
    hooks.add(lambda change: None, "check", "save", Person, name="rule")
    with attach(hooks, maker), maker() as session:
        session.add(Person(id=1, age=1))
        session.flush()
        yield session


def test_the_write_is_not_sent_and_the_error_is_raised_at_it(session: Session) -> None:
    with pytest.raises(UnhookedWriteWarning, match="hook 'rule'"), strict():
        session.execute(UPDATE)
    assert session.scalar(text("SELECT age FROM person")) == 1


def test_code_that_swallows_it_fails_in_the_end(session: Session) -> None:
    with (
        pytest.raises(
            AssertionError, match=r"around hooks \(2\), and somebody swallowed the error:\nThe statement 'UPDATE"
        ),
        strict(),
    ):
        for _ in range(2):
            with suppress(Exception):
                session.execute(UPDATE)


def test_filters_make_no_difference(session: Session) -> None:
    with pytest.raises(UnhookedWriteWarning), strict(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session.execute(UPDATE)


def test_writes_of_other_threads_count(session: Session) -> None:
    def write() -> None:
        with suppress(Exception):
            session.execute(UPDATE)

    with pytest.raises(AssertionError, match=r"around hooks \(1\)"), strict():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()


def test_another_error_is_kept_and_has_a_note(session: Session) -> None:
    with pytest.raises(KeyError) as error, strict():
        with suppress(UnhookedWriteWarning):
            session.execute(UPDATE)
        raise KeyError("x")
    assert "went around hooks: The statement 'UPDATE" in error.value.__notes__[0]


def test_after_the_block_it_is_a_warning_again(session: Session) -> None:
    with strict():
        session.execute(text("SELECT 1"))
    with pytest.warns(UnhookedWriteWarning):
        session.execute(UPDATE)


TESTS = """
import pytest
from sqlalchemy import StaticPool, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from hookline import Hooks
from hookline.sqlalchemy import attach

class Base(DeclarativeBase):
    pass

class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)

@pytest.fixture
def session():
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    hooks = Hooks()
    hooks.add(lambda change: None, "check", "write", Person, name="rule")
    with Session(engine) as session, attach(hooks, session):
        session.execute(text("DELETE FROM person"))
        yield session
    engine.dispose()

def swallow(session):
    try:
        session.execute(text("DELETE FROM person"))
    except Exception:
        pass

def test_plain(session):
    swallow(session)

@pytest.mark.hookline_strict
def test_marked(session):
    swallow(session)

@pytest.mark.hookline_strict(enabled=False)
def test_lenient(session):
    swallow(session)

@pytest.mark.hookline_strict(False)
def test_lenient_too(session):
    swallow(session)
"""


@pytest.mark.parametrize(("setting", "failing"), [("false", {"test_marked"}), ("true", {"test_plain", "test_marked"})])
def test_the_plugin(tmp_path: Path, setting: str, failing: set[str]) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nhookline_strict = {setting}\nfilterwarnings = ignore\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "hookline.testing.plugin", "--strict-markers", "-rf", "--tb=no"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {line.split("::")[1].split()[0] for line in ran.stdout.splitlines() if line.startswith("FAILED")}
    assert found == failing, ran.stdout
    assert f"{len(failing)} failed, {4 - len(failing)} passed" in ran.stdout


def test_pytest_finds_the_plugin_by_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"hookline": "hookline.testing.plugin"}
