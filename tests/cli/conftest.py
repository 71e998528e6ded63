"""A shop on each kind of database, and workers on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.cli.shop import Shop, build, open_shop
from tests.databases import Database
from tests.processes import CommandLine


@pytest.fixture
def shop(database: Database, engine: Engine) -> Iterator[Shop]:
    build(engine)
    shop = open_shop(str(database))
    with shop.attachment:
        yield shop


@pytest.fixture
def start(database: Database, tmp_path: Path) -> Iterator[Callable[..., CommandLine]]:
    """Starts workers: ``start("--concurrency", "2", SHOP_WORKER="A")``."""
    started: list[CommandLine] = []

    def start(*options: str, **environment: str) -> CommandLine:
        given = ("worker", "tests.cli.app:hooks", "--poll", "0.2", *options)
        process = CommandLine(*given, folder=tmp_path, SHOP_URL=str(database), **environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.close()


class Gate:
    """A named pipe at which slow hooks wait until somebody opens it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path

    def open(self) -> None:
        """Let one through: waits until it is there."""
        self.path.write_text("go")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


@pytest.fixture
def environment(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What `tests.cli.app` reads, for commands that run in this process."""

    def set_environment(**values: str) -> None:
        for name, value in {"SHOP_URL": str(database), "COLUMNS": "200", **values}.items():
            monkeypatch.setenv(name, value)

    return set_environment
