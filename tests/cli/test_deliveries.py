"""`hookline deliveries` and `hookline health`: tables for people, JSON for programs, and exit codes for both."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hookline.cli.app import app
from hookline.durable import Deliveries, Worker
from tests.cli.shop import Shop, change, order

HOOKS = "tests.cli.app:hooks"

Run = Callable[..., Result]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest, environment: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the shop, whose sessions are sync or async."""
    kind = {"SHOP_ASYNC": "1"} if request.param == "async" else {}
    environment(**kind)

    def run(*arguments: str, given: str | None = None, **values: str) -> Result:
        environment(**values)
        monkeypatch.delitem(__import__("sys").modules, "tests.cli.app", raising=False)
        return CliRunner().invoke(app, arguments, input=given)

    return run


def deliver(shop: Shop) -> None:
    """Run what is due, and what is tried again, until only the dead are left."""
    while any(one.state == "pending" for one in Deliveries(shop.hooks).list()):
        Worker(shop.hooks, poll=0.01).run_until_idle()


def test_list_shows_what_became_of_each(shop: Shop, run: Run) -> None:
    order(shop, "Ann", "poison")
    deliver(shop)
    order(shop, "Bob")
    listed = run("deliveries", "list", HOOKS)
    assert listed.exit_code == 0, listed.output
    heading, *rows = [" ".join(line.split()) for line in listed.stdout.splitlines()]
    assert heading == "id state hook key tries age due error"
    assert [re.sub(r"\d+ s\b", "a moment", row) for row in rows] == [
        "3 pending deliver Order 3 0 a moment now",
        "2 dead deliver Order 2 3 a moment ValueError: poison is not sold here",
        "1 done deliver Order 1 1 a moment",
    ]


def test_list_can_be_narrowed(shop: Shop, run: Run) -> None:
    order(shop, "Ann", "poison", "Bob")
    deliver(shop)

    def ids(*options: str) -> list[int]:
        return [one["id"] for one in json.loads(run("deliveries", "list", HOOKS, "--json", *options).stdout)]

    assert ids() == [3, 2, 1]
    assert ids("--state", "done") == [3, 1]
    assert ids("--state", "done", "--limit", "1") == [3]
    assert ids("--hook", "deliver", "--state", "dead") == [2]
    assert ids("--hook", "another") == []


def test_json_has_all_that_there_is(shop: Shop, run: Run) -> None:
    order(shop, "poison")
    deliver(shop)
    shown = json.loads(run("deliveries", "show", HOOKS, "1", "--json").stdout)
    assert shown["state"] == "dead"
    assert shown["key"] == "Order 1"
    assert shown["changes"]["new"] == {"id": 1, "customer": "poison", "version": 0}
    assert shown["reason"] == "ValueError: poison is not sold here"
    assert [attempt["number"] for attempt in shown["history"]] == [1, 2, 3]
    assert shown["created_at"] <= shown["ended_at"]


def test_show_prints_the_changes_and_each_attempt(shop: Shop, run: Run) -> None:
    order(shop, "poison")
    deliver(shop)
    shown = run("deliveries", "show", HOOKS, "1").stdout
    assert '"customer": "poison"' in shown
    assert shown.count("Traceback (most recent call last)") == 3
    assert all(f"attempt {number} failed at" in shown for number in (1, 2, 3))
    assert "raised in hook 'deliver'" in shown


def test_retry_by_number(shop: Shop, run: Run) -> None:
    order(shop, "poison", "Ann")
    deliver(shop)
    done = run("deliveries", "retry", HOOKS, "1")
    assert (done.exit_code, done.stdout) == (0, "1 delivery will run again\n")
    assert [(one.state, one.attempts) for one in Deliveries(shop.hooks).list(state="pending")] == [("pending", 0)]
    left = run("deliveries", "retry", HOOKS, "1", "2")
    assert left.exit_code == 1
    assert left.stderr == "delivery 2 was left alone: it is done\n"


def test_retry_by_state_asks_first(shop: Shop, run: Run) -> None:
    order(shop, "poison", "poison")
    deliver(shop)
    options = "--state", "dead", "--hook", "deliver"
    refused = run("deliveries", "retry", HOOKS, *options, given="n\n")
    assert refused.exit_code == 1
    assert "retry 2 deliveries?" in refused.output
    assert len(Deliveries(shop.hooks).list(state="dead")) == 2
    assert run("deliveries", "retry", HOOKS, *options, given="y\n").stdout.endswith("2 deliveries will run again\n")
    again = run("deliveries", "retry", HOOKS, *options, "--yes")
    assert (again.exit_code, again.stderr) == (1, "there is nothing to retry\n")


def test_cancel_lets_those_behind_go_on(shop: Shop, run: Run) -> None:
    numbers = order(shop, "poison")
    change(shop, numbers, version=1)
    assert run("deliveries", "cancel", HOOKS, "1").exit_code == 0
    assert run("deliveries", "cancel", HOOKS, "--hook", "deliver", "--yes").stdout == "1 delivery will not run\n"
    assert {one.state for one in Deliveries(shop.hooks).list()} == {"cancelled"}


def test_prune_deletes_what_ended(shop: Shop, run: Run) -> None:
    order(shop, "poison", "Ann", "Bob")
    deliver(shop)
    assert run("deliveries", "prune", HOOKS, "--days", "1").stdout == "0 deliveries were deleted\n"
    assert run("deliveries", "prune", HOOKS, "--days", "0").stdout == "2 deliveries were deleted\n"
    refused = run("deliveries", "prune", HOOKS, "--days", "0", "--state", "dead", given="n\n")
    assert refused.exit_code == 1
    assert run("deliveries", "prune", HOOKS, "--days", "0", "--state", "dead", "--yes").exit_code == 0
    assert Deliveries(shop.hooks).list() == []


def test_counts_by_hook_and_state(shop: Shop, run: Run) -> None:
    order(shop, "poison", "Ann", "Bob")
    deliver(shop)
    order(shop, "Sue")
    table = run("deliveries", "counts", HOOKS).stdout
    assert " ".join(table.split()[:7]) == "hook pending running done dead cancelled oldest"
    assert table.splitlines()[1].split()[:4] == ["deliver", "1", "2", "1"]
    counted = json.loads(run("deliveries", "counts", HOOKS, "--json").stdout)
    assert [(one["state"], one["number"]) for one in counted] == [("pending", 1), ("done", 2), ("dead", 1)]
    assert all(one["oldest"] >= 0 for one in counted)


def test_health_complains_of_what_is_late(shop: Shop, run: Run) -> None:
    assert run("health", HOOKS).stdout == "well: nothing is late\n"
    order(shop, "Ann")
    assert run("health", HOOKS, "--max-age", "600").exit_code == 0
    late = run("health", HOOKS, "--max-age", "0")
    assert late.exit_code == 1
    assert re.match(r"deliveries of hook 'deliver' could have run \d+ s ago: no worker runs, or", late.stderr)


def test_health_complains_of_hooks_that_are_gone(shop: Shop, run: Run) -> None:
    order(shop, "Ann")
    gone = run("health", HOOKS, SHOP_HOOK="send")
    assert gone.exit_code == 1
    assert gone.stderr == "deliveries wait for hook 'deliver', which this rule book does not have\n"


# -- errors that teach


@pytest.mark.parametrize(
    ("arguments", "lesson"),
    [
        (("list", "tests.cli.nowhere:hooks"), "no module 'tests.cli.nowhere'"),
        (("list", "tests/cli/app.py:hooks"), "Write it as in an import: tests.cli.app:hooks."),
        (("list", "tests.cli.app:hoks"), "has no 'hoks'. Did you mean 'hooks'?"),
        (("list", "tests.cli.app:shop"), "not a rule book. There is: tests.cli.app:hooks."),
        (("list", HOOKS, "--of", "tests.cli.app:shop"), "--of takes what attach() returned"),
        (("list", HOOKS, "--state", "ded"), "There is no state 'ded'. Did you mean 'dead'?"),
        (("show", HOOKS, "7"), "There is no delivery 7"),
        (("retry", HOOKS), "Say which deliveries are meant, in one way: hookline deliveries retry"),
        (("retry", HOOKS, "1", "--state", "dead"), "Say which deliveries are meant, in one way"),
        (("retry", HOOKS, "7"), "There is no delivery 7"),
        (("prune", HOOKS, "--days", "1", "--state", "running"), "Only deliveries that are done, dead or cancelled"),
    ],
)
def test_errors_teach(shop: Shop, run: Run, arguments: tuple[str, ...], lesson: str) -> None:
    failed = run("deliveries", *arguments)
    assert failed.exit_code == 2
    assert failed.stderr.startswith("error: ")
    assert lesson in failed.stderr


def test_the_only_rule_book_of_a_module_need_not_be_named(shop: Shop, run: Run) -> None:
    assert run("deliveries", "list", "tests.cli.app").exit_code == 0
    assert run("deliveries", "list", HOOKS, "--of", "tests.cli.app:attachment").exit_code == 0


def test_a_database_without_tables_is_told(database: object, run: Run) -> None:
    failed = run("deliveries", "list", HOOKS)
    assert failed.exit_code == 2
    assert "Run outbox.create_tables(engine)" in failed.stderr
