"""The demo, run as a user runs it: in a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

CHINOOK = Path(__file__).parents[2] / "examples" / "chinook"


Finished = subprocess.CompletedProcess[str]


def run(cwd: Path, *arguments: str, program: Path = CHINOOK, **environment: str) -> Finished:
    """Run the demo, with its temporary files in ``cwd/tmp``."""
    (cwd / "tmp").mkdir()
    own = {"TMPDIR": str(cwd / "tmp"), "PYTHONIOENCODING": "utf-8", "COLUMNS": "110"}
    return subprocess.run(
        [sys.executable, str(program / "demo.py"), *arguments],
        cwd=cwd,
        env=os.environ | {"DB": "", "HOOKLINE_POSTGRESQL_URL": ""} | own | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Path]:
    folder = tmp_path_factory.mktemp("demo")
    return run(folder), folder


def assert_all_claims_hold(demo: Finished) -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert re.search(r"All \d+ claims hold\.", demo.stdout), demo.stdout
    assert "✗" not in demo.stdout
    assert demo.stderr == ""


def test_on_sqlite_all_claims_hold(on_sqlite: tuple[Finished, Path]) -> None:
    demo, _ = on_sqlite
    assert_all_claims_hold(demo)
    assert "15,607 rows in all" in demo.stdout


def test_nothing_is_left_behind(on_sqlite: tuple[Finished, Path]) -> None:
    _, folder = on_sqlite
    assert list(folder.rglob("*")) == [folder / "tmp"]


@pytest.mark.parametrize("field", ["Track.unit_price", "Customer.support_rep", "Employee.reports_to", "Customer.email"])
def test_each_refusal_is_shown_by_field(on_sqlite: tuple[Finished, Path], field: str) -> None:
    demo, _ = on_sqlite
    assert field in demo.stdout


def doors() -> list[str]:
    found = re.search(r"^DOORS: .*?= \((.*?)^\)", (CHINOOK / "doors.py").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return [name.strip() for name in found[1].split(",") if name.strip()]


def test_hooks_are_told_at_each_door_in_each_phase(on_sqlite: tuple[Finished, Path]) -> None:
    demo, _ = on_sqlite
    assert len(doors()) == 14
    for door in doors():
        name = door.replace("_", " ").replace("orm", "ORM").replace("core", "Core")
        assert re.search(rf"│ ?{name} +" + r"│ +3 " * 7 + "│", demo.stdout), name


@pytest.mark.parametrize(
    ("door", "told", "refused", "written"),
    [
        ("raw SQL", "00000", 3, 0),
        ("database cascade", "00000", 0, 3),
        ("raw SQL, captured", "03333", 3, 3),
        ("cascade, captured", "03333", 0, 3),
    ],
)
def test_what_no_statement_says_is_told_by_capture(
    on_sqlite: tuple[Finished, Path], door: str, told: str, refused: int, written: int
) -> None:
    demo, _ = on_sqlite
    counts = "".join(rf"│ +{number} " for number in (*told, refused, written))
    assert re.search(rf"│ ?{door} +{counts}│", demo.stdout)


def test_each_rule_is_shown_with_how_often_it_ran(on_sqlite: tuple[Finished, Path]) -> None:
    demo, _ = on_sqlite
    rules = re.findall(r"^@hooks\.(\w+)\(.*\ndef (\w+)", (CHINOOK / "rules.py").read_text("utf-8"), re.MULTILINE)
    assert len(rules) == 10
    for phase, rule in rules:
        assert re.search(rf"│ {rule} +│ {phase} +│ +[\d,]+ │", demo.stdout), rule


def test_on_postgresql_all_claims_hold(tmp_path: Path, postgresql_url: str) -> None:
    demo = run(tmp_path, DB="postgresql", HOOKLINE_POSTGRESQL_URL=postgresql_url)
    assert_all_claims_hold(demo)
    assert "Chinook, on postgresql" in demo.stdout


def test_a_wrong_count_exits_with_1_and_the_database_can_be_kept(tmp_path: Path) -> None:
    spoilt = shutil.copytree(CHINOOK, tmp_path / "chinook")
    rules = (spoilt / "rules.py").read_text("utf-8")
    assert "track_count += number" in rules
    (spoilt / "rules.py").write_text(rules.replace("track_count += number", "track_count += 1"), "utf-8")
    doors = (spoilt / "doors.py").read_text("utf-8")
    assert "update(table).where(table.c.invoice_id == at.invoice)" in doors
    fewer = doors.replace("where(table.c.invoice_id == at.invoice)", "where(table.c.id == at.lines[0])")
    (spoilt / "doors.py").write_text(fewer, "utf-8")
    demo = run(tmp_path, "sqlite", "--file", "kept.db", program=spoilt)
    assert demo.returncode == 1, demo.stdout + demo.stderr
    assert "✗ every playlist's track count is right" in demo.stdout
    assert "✗ Core by session" in demo.stdout
    with closing(sqlite3.connect(tmp_path / "kept.db")) as kept:
        assert kept.execute("select count(*) from track").fetchone() == (
            3_503,
        )  # one is withdrawn, and one came over HTTP


def test_each_receipt_is_sent_though_its_worker_was_killed(on_sqlite: tuple[Finished, Path]) -> None:
    demo, _ = on_sqlite
    killed_at = re.search(r"the first worker is killed after (\d+) receipts", demo.stdout)
    assert killed_at is not None
    assert 20 <= int(killed_at[1]) < 40
    assert re.search(r"│in the database in the end +│40 │", demo.stdout)
    assert re.search(r"│mails, told apart by delivery.id +│40 │", demo.stdout)
