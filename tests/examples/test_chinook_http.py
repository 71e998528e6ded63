"""The store over HTTP, and the import into it, run as a user runs them: in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import httpx
import pytest

CHINOOK = Path(__file__).parents[2] / "examples" / "chinook"
PATIENCE = 120


@contextmanager
def program(name: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A program of the example. It ends with the block, or when it takes too long."""
    own = {"DB": "", "HOOKLINE_POSTGRESQL_URL": "", "OPEN": "0", "EMPTY": "1", "PORT": "0", "WORKERS": "1"}
    own |= {"PYTHONIOENCODING": "utf-8", "COLUMNS": "110"}
    with subprocess.Popen(
        [sys.executable, str(CHINOOK / name), *arguments],
        env=os.environ | own | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        impatience = Timer(PATIENCE, process.kill)
        impatience.start()
        try:
            yield process
        finally:
            impatience.cancel()
            process.kill()


@contextmanager
def store(*arguments: str, **environment: str) -> Iterator[httpx.Client]:
    """A store that is served, and stopped by SIGTERM."""
    with program("serve.py", *arguments, **environment) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", told)
        assert address is not None, (told, process.communicate()[1])
        with httpx.Client(base_url=address[0], trust_env=False, timeout=60) as http:
            yield http
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")


def imported(http: httpx.Client, *arguments: str) -> tuple[int, str]:
    """The exit code of an import, and what it printed."""
    with program("importer.py", str(http.base_url), *arguments) as process:
        out, errors = process.communicate()
        assert errors == ""
        return process.returncode, out


def count(http: httpx.Client, path: str) -> int:
    return int(http.get(f"/{path}/count/").json()["count"])


def test_an_import_that_was_killed_and_starts_again_doubles_nothing(tmp_path: Path) -> None:
    with store(TMPDIR=str(tmp_path)) as http:
        with program("importer.py", str(http.base_url), "--batch", "100") as first:
            deadline = time.monotonic() + PATIENCE
            while count(http, "track") < 1_000:
                assert first.poll() is None, first.communicate()
                assert time.monotonic() < deadline
            first.kill()
        assert count(http, "track") < 3_503
        code, told = imported(http, "--batch", "100")
        assert code == 0, told
        assert re.search(r"[\d,]+ rows had arrived before, and are not doubled", told)
        assert re.search(r"│ track +│ 3,503 │ +0 │ +3,503 │", told)
        assert re.search(r"│ playlist_track │ 8,715 │ +0 │ +8,715 │", told)
        inserted = http.get("/audit_entry/count/?event=insert&who=the%20import").json()
        assert inserted == {"count": 6_892}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_several_processes_serve_one_store(database: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgresql_url") if database == "postgresql" else ""
    with store(DB=database, HOOKLINE_POSTGRESQL_URL=server, WORKERS="2") as http:
        for _ in range(2):
            code, told = imported(http, "--stage", "the people", "--batch", "10", "--at-once", "4")
            assert code == 0, told
        assert "67 rows had arrived before" in told
        assert (count(http, "employee"), count(http, "customer")) == (8, 59)


def test_refused_rows_are_told_by_field_with_those_that_refer_to_them(tmp_path: Path) -> None:
    with store() as http:
        somebody = {"firstname": "J", "lastname": "P", "title": "Sales Support Agent", "email": "jane@chinookcorp.com"}
        hired = http.post("/employee/", json=somebody | {"birthdate": "1973-08-29", "hiredate": "2002-04-01"})
        assert hired.status_code == 201, hired.text
        code, told = imported(http, "--stage", "the people")
        assert code == 1
        assert re.search(r"│ employee 3 +│ email +│", told), told
        assert re.search(r"│ customer 1 +│ support_rep_id +│ is of a row that was refused", told), told
        assert re.search(r"│ employee +│ +8 │ +1 │ +8 │", told), told


def test_a_file_is_kept_and_served_again(tmp_path: Path) -> None:
    for number in (1, 2):
        with store("--file", str(tmp_path / "kept.db")) as http:
            assert http.post("/genre/", json={"name": "Fado"}).status_code == 201
            assert count(http, "genre") == number


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with store() as http, program("serve.py", "--port", str(http.base_url.port)) as second:
        _, errors = second.communicate()
        assert second.returncode == 1
        assert "PORT=0 finds one that is free" in errors


def test_what_rules_keep_no_client_writes(tmp_path: Path) -> None:
    with store() as http:
        slug = http.post("/artist/", json={"name": "Amália", "slug": "x"})
        assert (slug.status_code, slug.json()["errors"][0]["code"]) == (422, "read_only")
        assert http.post("/artist/", json={"name": "Amália"}).json()["slug"] == "amalia"
        assert http.post("/audit_entry/", json={}).status_code == 405
        assert "delivery" not in http.get("/openapi.json").text.split('"/receipt/"')[1].split('"/audit_entry/"')[0]
        assert http.get("/album/references/artist_id/").json()["rows"] == [{"value": 1, "label": "Amália"}]
