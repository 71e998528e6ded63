"""A migration installs, upgrades and removes it: up and down."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, inspect, text

from hookline.sqlalchemy import Capture, capture
from tests.databases import Database

ENVIRONMENT = """
from alembic import context
from tests.sqlalchemy.databases import engine_for

engine = engine_for(context.config.get_main_option("sqlalchemy.url").replace("%%", "%"))
with engine.connect() as connection:
    context.configure(connection=connection, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""


def model(*columns: Column[Any]) -> Capture:
    table = Table("item", MetaData(), Column("id", Integer, primary_key=True), Column("name", String), *columns)
    return capture(table)


FIRST, SECOND = model(), model(Column("price:now", Integer))


def migration(revision: str, before: str | None, up: list[str], down: list[str]) -> str:
    """A script as somebody would write it, with the statements pasted."""
    return dedent(
        """
        from alembic import op

        revision, down_revision = {revision!r}, {before!r}

        UP = {up!r}
        DOWN = {down!r}

        def upgrade():
            for statement in UP:
                op.execute(statement)

        def downgrade():
            for statement in DOWN:
                op.execute(statement)
        """
    ).format(revision=revision, before=before, up=up, down=down)


@pytest.fixture
def config(tmp_path: Path, database: Database) -> Config:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENVIRONMENT)
    (folder / "script.py.mako").write_text("")
    kind = database.kind
    create = ["CREATE TABLE item (id INTEGER PRIMARY KEY, name VARCHAR)"]
    add, drop = ['ALTER TABLE item ADD COLUMN "price\\:now" INTEGER'], ['ALTER TABLE item DROP COLUMN "price\\:now"']
    first = migration("1", None, create + FIRST.ddl(kind), [*FIRST.removal_ddl(kind), "DROP TABLE item"])
    second = migration("2", "1", add + SECOND.ddl(kind), SECOND.removal_ddl(kind) + drop + FIRST.ddl(kind))
    (folder / "versions" / "first.py").write_text(first)
    (folder / "versions" / "second.py").write_text(second)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", str(database).replace("%", "%%"))
    return config


def test_migrations_go_up_and_down(config: Config, engine: Engine) -> None:
    command.upgrade(config, "1")
    FIRST.check(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO item VALUES (1, 'one')"))

    command.upgrade(config, "2")
    SECOND.check(engine)
    with engine.begin() as connection:
        SECOND.begin(connection)
        connection.execute(text("INSERT INTO item VALUES (2, 'two', 20)"))
        assert [one.new for one in SECOND.take(connection)] == [{"id": 2, "name": "two", "price:now": 20}]
        assert [one.new for one in SECOND.waiting(connection)] == [{"id": 1, "name": "one"}]

    command.downgrade(config, "1")
    FIRST.check(engine)
    with engine.begin() as connection:
        FIRST.begin(connection)
        connection.execute(text("INSERT INTO item VALUES (3, 'three')"))
        assert [one.new for one in FIRST.take(connection)] == [{"id": 3, "name": "three"}]

    command.downgrade(config, "base")
    assert [name for name in inspect(engine).get_table_names() if name != "alembic_version"] == []
