"""Finding a rule book in the current folder, as one who types the command expects it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hookline.cli.app import app


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def error_of(*arguments: str) -> str:
    failed = CliRunner().invoke(app, arguments)
    assert failed.exit_code == 2
    return failed.stderr


def test_the_current_folder_is_searched(tmp_path: Path) -> None:
    (tmp_path / "floristry.py").write_text("from hookline import Hooks\nhooks = Hooks()\n")
    assert "attach(hooks, SessionLocal) first" in error_of("health", "floristry:hooks")


def test_several_rule_books_are_listed(tmp_path: Path) -> None:
    (tmp_path / "bakery.py").write_text("from hookline import Hooks\nbread, cake = Hooks(), Hooks()\n")
    assert "bakery:bread or bakery:cake" in error_of("health", "bakery")


def test_of_several_attachments_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "butchery.py").write_text(
        "from hookline import Hooks\nfrom hookline.sqlalchemy import attach\nfrom sqlalchemy.orm import sessionmaker\n"
        "hooks = Hooks()\none, other = attach(hooks, sessionmaker()), attach(hooks, sessionmaker())\n"
    )
    assert "--of shop.app:attachment" in error_of("health", "butchery:hooks")


def test_an_error_of_the_application_itself_keeps_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "brewery.py").write_text("import hops\n")
    failed = CliRunner().invoke(app, ["health", "brewery:hooks"])
    assert isinstance(failed.exception, ModuleNotFoundError)
    assert failed.exception.name == "hops"


def test_a_worker_checks_its_options(tmp_path: Path) -> None:
    (tmp_path / "creamery.py").write_text(
        "from hookline import Hooks\nfrom hookline.sqlalchemy import attach\nfrom sqlalchemy.orm import sessionmaker\n"
        "hooks = Hooks()\nattach(hooks, sessionmaker())\n"
    )
    assert "concurrency and batch are at least 1" in error_of("worker", "creamery:hooks", "--concurrency", "0")
    assert "Did you mean 'info'?" in error_of("worker", "creamery:hooks", "--log-level", "infos")


def test_without_its_extra_the_command_says_what_to_install() -> None:
    program = "import sys; sys.modules['typer'] = None; from hookline.cli import main; main()"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == "The command line needs Rich and Typer. Install them with: pip install 'hookline[cli]'\n"
