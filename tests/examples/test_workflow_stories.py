"""The two stories of workflows, each run as a user runs it: in a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import Database

EXAMPLES = Path(__file__).parents[2] / "examples"

SPOILT = {
    "parcels": ("session.add(Receipt(parcel_id=change.key, signed_by=change.by))", "pass", "it worked twice"),
    "tracker": ("change.entity.reopened += 1", "change.entity.reopened += 2", "a hook has counted the rounds"),
}
"""Of each story, a line of its rules, what is there instead, and the claim that is false then."""

Finished = subprocess.CompletedProcess[str]


def run(program: Path, cwd: Path, url: str = "") -> Finished:
    return subprocess.run(
        [sys.executable, str(program)],
        cwd=cwd,
        env=os.environ | {"DB": url, "PYTHONIOENCODING": "utf-8", "COLUMNS": "110"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )


def assert_all_claims_hold(story: Finished) -> None:
    assert story.returncode == 0, story.stdout + story.stderr
    assert re.search(r"All \d+ claims hold\.", story.stdout), story.stdout
    assert "✗" not in story.stdout
    assert story.stderr == ""


@pytest.mark.parametrize("name", SPOILT)
def test_all_claims_hold(name: str, database: Database, tmp_path: Path) -> None:
    story = run(EXAMPLES / name / "app.py", tmp_path, str(database))
    assert_all_claims_hold(story)
    assert f", on {database.kind}" in story.stdout


@pytest.mark.parametrize("name", SPOILT)
def test_in_memory_nothing_is_left_behind(name: str, tmp_path: Path) -> None:
    assert_all_claims_hold(run(EXAMPLES / name / "app.py", tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SPOILT)
def test_a_rule_that_is_spoilt_makes_claims_false(name: str, tmp_path: Path) -> None:
    rule, instead, claim = SPOILT[name]
    program = (EXAMPLES / name / "app.py").read_text("utf-8")
    assert program.count(rule) == 1
    (tmp_path / "app.py").write_text(program.replace(rule, instead), "utf-8")
    story = run(tmp_path / "app.py", tmp_path)
    assert story.returncode == 1, story.stdout + story.stderr
    assert f"✗ {claim}" in story.stdout
    assert re.search(r"\d+ of \d+ claims are false\.", story.stdout)


@pytest.mark.parametrize("name", SPOILT)
def test_a_database_that_is_in_use_is_left_alone(name: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'used.db'}"
    assert run(EXAMPLES / name / "app.py", tmp_path, url).returncode == 0
    again = run(EXAMPLES / name / "app.py", tmp_path, url)
    assert again.returncode == 1
    assert "already exists" in again.stderr
