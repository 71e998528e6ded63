"""Lines 7, 8 and 9: how a transaction ends, and what is said about it."""

# ruff: noqa: ARG001 - a hook's parameters are what it asks for

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from hookline import Operation, Outcome, ValidationError
from hookline.testing.recorder import Call
from hookline.testing.stage import Stage, scenario


def _names(calls: list[Call]) -> list[Any]:
    return [(call.new or call.old or {}).get("name") for call in calls]


class TestAfterCommit:
    """7. After the outermost COMMIT only; failures reach nobody who did not ask."""

    @scenario
    async def test_07_the_row_is_there_for_everyone_when_it_runs(self, stage: Stage) -> None:
        Person = stage.models.Person
        visible: list[Any] = []

        @stage.hook("after_commit", "insert", Person)
        async def look(change: Any, session: Any) -> None:
            ann = await stage.harness.wrap(session).get(Person, change.key)
            visible.append((ann.name, session is not None))

        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.flush()
            assert visible == []
            await session.commit()
        assert visible == [("Ann", True)]

    @scenario
    async def test_07_never_on_a_savepoint(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls = stage.record("after_commit", "write", Person)
        before = stage.record("before_commit", "write", Person)
        async with stage.session() as session:
            async with session.savepoint():
                await session.add(Person(name="Ann"))
                async with session.savepoint():
                    await session.add(Person(name="Bob"))
            assert calls == [] and before == []
            await session.commit()
        assert sorted(_names(calls)) == ["Ann", "Bob"]
        assert {call.together for call in calls} == {2}

    @scenario
    async def test_07_never_for_a_transaction_that_only_read(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann"))
        called: list[str] = []
        for phase in ("before_commit", "after_commit", "after_rollback"):

            @stage.hook(phase, "write", name=f"all {phase}")
            async def never(changes: Any) -> None:
                called.append("all")

            @stage.hook(phase, "write", Person, name=f"person {phase}")
            async def never_either(changes: Any) -> None:
                called.append("person")

        async with stage.session() as session:
            ann = await session.get(Person, key)
            assert ann.name == "Ann"
            await session.commit()
            await session.get(Person, key)
            await session.rollback()
            await session.commit()
        assert called == []

    @scenario
    async def test_07_never_for_a_transaction_that_rolled_back(self, stage: Stage) -> None:
        Person = stage.models.Person
        committed = stage.record("after_commit", "write", Person)
        rolled_back = stage.record("after_rollback", "write", Person)
        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.flush()
            await session.rollback()
        assert (committed, _names(rolled_back)) == ([], ["Ann"])

    @scenario
    async def test_07_closing_the_session_is_a_rollback(self, stage: Stage) -> None:
        Person = stage.models.Person
        committed = stage.record("after_commit", "write", Person)
        rolled_back = stage.record("after_rollback", "write", Person)
        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.flush()
        assert (committed, _names(rolled_back)) == ([], ["Ann"])

    @scenario
    async def test_07_each_hook_runs_even_if_another_raised(
        self, stage: Stage, caplog: pytest.LogCaptureFixture
    ) -> None:
        Person = stage.models.Person
        ran: list[str] = []
        failures: list[Any] = []

        def failed(error: BaseException, change: Any, hook: Any) -> None:
            failures.append((str(error), change.new["name"], hook.name))

        stage.hooks.on_error = failed

        @stage.hook("after_commit", "insert", Person, order=1)
        async def fails(change: Any) -> None:
            ran.append("fails")
            raise RuntimeError(f"about {change.new['name']}")

        @stage.hook("after_commit", "insert", Person, order=2)
        async def works(change: Any) -> None:
            ran.append("works")

        async with stage.session() as session:
            await session.add(Person(name="Ann"), Person(name="Bob"))
            await session.flush()
            tx = session.transaction()
            await session.commit()
        assert sorted(ran) == ["fails", "fails", "works", "works"]
        assert sorted(failures) == [("about Ann", "Ann", "fails"), ("about Bob", "Bob", "fails")]
        assert sorted(str(error) for error in tx.errors) == ["about Ann", "about Bob"]
        assert tx.outcome is Outcome.COMMITTED
        assert len([record for record in caplog.records if record.name.startswith("hookline")]) == 2

    @scenario
    async def test_07_failures_reach_the_caller_who_asked(self, stage: Stage) -> None:
        Person = stage.models.Person
        stage.attach(raise_after_commit=True)
        ran: list[str] = []

        @stage.hook("after_commit", "insert", Person, order=1)
        async def fails(change: Any) -> None:
            raise RuntimeError("no")

        @stage.hook("after_commit", "insert", Person, order=2)
        async def works(change: Any) -> None:
            ran.append("works")

        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            with pytest.raises(ExceptionGroup) as group:
                await session.commit()
        assert group.group_contains(RuntimeError, match="no")
        assert ran == ["works"]
        assert len(await stage.harness.rows(Person)) == 1

    @scenario
    async def test_07_its_session_is_committed_if_the_hook_returns(self, stage: Stage) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag

        @stage.hook("after_commit", "insert", Person)
        async def tag(change: Any, session: Any) -> None:
            await stage.harness.wrap(session).add(Tag(label=change.new["name"]))

        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.commit()
        assert [row["label"] for row in (await stage.harness.rows(Tag)).values()] == ["Ann"]

    @scenario
    async def test_07_its_session_is_rolled_back_if_the_hook_raises(self, stage: Stage) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag

        @stage.hook("after_commit", "insert", Person)
        async def tag(change: Any, session: Any) -> None:
            await stage.harness.wrap(session).add(Tag(label="half"))
            await stage.harness.wrap(session).flush()
            raise RuntimeError("half way")

        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.commit()
        assert len(await stage.harness.rows(Person)) == 1
        assert await stage.harness.rows(Tag) == {}

    @scenario
    async def test_07_each_transaction_of_a_session_reports_its_own(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls = stage.record("after_commit", "write", Person)
        async with stage.session() as session:
            for name in ("Ann", "Bob", "Cid"):
                await session.add(Person(name=name))
                if name == "Bob":
                    await session.flush()
                    await session.rollback()
                else:
                    await session.commit()
                assert len(calls) == {"Ann": 1, "Bob": 1, "Cid": 2}[name]
        assert _names(calls) == ["Ann", "Cid"]

    @scenario
    async def test_07_the_entity_and_the_values_stay_readable(self, stage: Stage) -> None:
        Person = stage.models.Person
        keys = [await stage.given(Person(name=name, age=1)) for name in ("Ann", "Bob")]
        seen: list[Any] = []

        @stage.hook("after_commit", "write", Person)
        async def look(change: Any, entity: Any) -> None:
            seen.append((change.event, entity.name, dict(change.old).get("age"), dict(change.new).get("age")))

        async with stage.session() as session:
            await session.set(await session.get(Person, keys[0]), age=2)
            await session.delete(await session.get(Person, keys[1]))
            await session.add(Person(name="Cid", age=3))
            await session.commit()
        assert sorted(seen) == [
            ("delete", "Bob", 1, None),
            ("insert", "Cid", None, 3),
            ("update", "Ann", 1, 2),
        ]


class TestSavepoints:
    """8. A rolled-back savepoint takes what belongs to it, and only that."""

    @scenario
    async def test_08_it_takes_its_changes(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=1))
        calls = stage.record("after_commit", "write", Person)
        async with stage.session() as session:
            ann = await session.get(Person, key)
            await session.set(ann, age=2)
            async with session.savepoint() as savepoint:
                await session.set(ann, age=3)
                await session.add(Person(name="Bob"))
                await session.flush()
                await savepoint.rollback()
            await session.add(Person(name="Cid"))
            await session.commit()
        assert [(call.event, call.new and (call.new["name"], call.new["age"])) for call in calls] == [
            ("update", ("Ann", 2)),
            ("insert", ("Cid", 0)),
        ]

    @scenario
    async def test_08_it_brings_back_what_was_there_before(self, stage: Stage) -> None:
        """The net change after the rollback is computed from the state at the savepoint."""
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=1))
        calls = stage.record("after_commit", "write", Person)
        async with stage.session() as session:
            ann = await session.get(Person, key)
            await session.set(ann, age=2)
            await session.flush()
            async with session.savepoint() as savepoint:
                await session.delete(ann)
                await session.flush()
                await savepoint.rollback()
            async with session.savepoint() as savepoint:
                await session.set(ann, age=1)
                await session.flush()
                await savepoint.rollback()
            await session.commit()
        (call,) = calls
        assert call.old is not None and call.new is not None
        assert (call.event, call.old["age"], call.new["age"]) == ("update", 1, 2)

    @scenario
    async def test_08_an_inner_savepoint_only_takes_its_own(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls = stage.record("after_commit", "write", Person)
        async with stage.session() as session:
            await session.add(Person(name="kept outside"))
            async with session.savepoint():
                await session.add(Person(name="kept inside"))
                async with session.savepoint() as inner:
                    await session.add(Person(name="gone"))
                    await session.flush()
                    await inner.rollback()
                await session.add(Person(name="kept after"))
            await session.commit()
        assert sorted(_names(calls)) == ["kept after", "kept inside", "kept outside"]

    @scenario
    async def test_08_an_outer_savepoint_takes_the_released_inner_one(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls = stage.record("after_commit", "write", Person)
        async with stage.session() as session:
            await session.add(Person(name="kept"))
            async with session.savepoint() as outer:
                async with session.savepoint():
                    await session.add(Person(name="gone"))
                await session.flush()
                await outer.rollback()
            await session.commit()
        assert _names(calls) == ["kept"]

    @scenario
    async def test_08_an_exception_that_leaves_the_block_rolls_it_back(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls = stage.record("after_commit", "write", Person)

        @stage.hook("check", "insert", Person)
        async def no_bob(change: Any) -> None:
            if change.new["name"] == "Bob":
                raise ValidationError(change.entity, {"name": "not Bob"})

        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            with pytest.raises(ValidationError):
                async with session.savepoint():
                    await session.add(Person(name="Bob"))
            await session.add(Person(name="Cid"))
            await session.commit()
        assert sorted(_names(calls)) == ["Ann", "Cid"]
        assert sorted(row["name"] for row in (await stage.harness.rows(Person)).values()) == ["Ann", "Cid"]

    @scenario
    async def test_08_it_takes_operations_and_what_was_added_to_older_ones(self, stage: Stage) -> None:
        Person = stage.models.Person
        ran: list[Any] = []

        class Older(Operation):
            def before_commit(self) -> None:
                ran.append(("older", list(self.items)))

        class Inside(Operation):
            def before_commit(self) -> None:
                ran.append(("inside", list(self.items)))

            def after_rollback(self) -> None:
                ran.append(("inside rolled back", list(self.items)))

        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.flush()
            tx = session.transaction()
            Older.of(tx).add("kept")
            async with session.savepoint() as savepoint:
                Older.of(tx).add("gone")
                Inside.of(tx).add("gone")
                await savepoint.rollback()
            async with session.savepoint():
                Older.of(tx).add("kept too")
            await session.commit()
        assert ran == [("older", ["kept", "kept too"])]

    @scenario
    async def test_08_it_takes_callbacks(self, stage: Stage) -> None:
        Person = stage.models.Person
        ran: list[str] = []
        stage.hooks.follow(Person)
        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.flush()
            tx = session.transaction()
            tx.after_commit(lambda: ran.append("kept"))
            async with session.savepoint() as savepoint:
                tx.before_commit(lambda: ran.append("gone"))
                tx.after_commit(lambda: ran.append("gone"))
                tx.after_rollback(lambda: ran.append("gone"))
                await savepoint.rollback()
            async with session.savepoint():
                tx.before_commit(lambda: ran.append("released"))
            await session.commit()
        assert ran == ["released", "kept"]

    @scenario
    async def test_08_all_of_it_rolled_back_leaves_nothing_to_report(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls = [stage.record(phase, "write", Person) for phase in ("before_commit", "after_commit", "after_rollback")]
        async with stage.session() as session:
            async with session.savepoint() as savepoint:
                await session.add(Person(name="Ann"))
                await session.flush()
                await savepoint.rollback()
            await session.commit()
        assert calls == [[], [], []]

    @scenario
    async def test_08_links_too(self, stage: Stage) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag
        key, tag_key = await stage.given(Person(name="Ann")), await stage.given(Tag(label="t"))
        other_key = await stage.given(Tag(label="u"))
        calls = stage.record("after_commit", "link", Person.tags)
        async with stage.session() as session:
            ann = await session.get(Person, key)
            async with session.savepoint() as savepoint:
                await session.link(ann, "tags", await session.get(Tag, tag_key))
                await session.flush()
                await savepoint.rollback()
            await session.link(ann, "tags", await session.get(Tag, other_key))
            await session.commit()
        assert [(call.subject_key, call.object_key) for call in calls] == [(key, other_key)]


class Journal(Operation):
    """Writes down which of its steps ran, into `tx.data`."""

    def before_commit(self) -> None:
        self.tx.data["journal"].append("before_commit")

    def revert(self) -> None:
        self.tx.data["journal"].append("revert")

    def after_commit(self) -> None:
        self.tx.data["journal"].append("after_commit")

    def after_rollback(self) -> None:
        self.tx.data["journal"].append("after_rollback")


class LateJournal(Journal):
    """The same, later, under its own name."""

    order = Operation.LATE

    def before_commit(self) -> None:
        self.tx.data["journal"].append("late before_commit")

    def revert(self) -> None:
        self.tx.data["journal"].append("late revert")

    def after_commit(self) -> None:
        self.tx.data["journal"].append("late after_commit")

    def after_rollback(self) -> None:
        self.tx.data["journal"].append("late after_rollback")


class TestOutcomes:
    """9. Four outcomes, told apart."""

    def _journal(self, stage: Stage) -> tuple[list[str], list[Any]]:
        journal: list[str] = []
        transactions: list[Any] = []

        @stage.hook("after", "write", stage.models.Person)
        async def join(change: Any, tx: Any) -> None:
            tx.data["journal"] = journal
            transactions.append(tx)
            LateJournal.of(tx).add(change)
            Journal.of(tx).add(change)

        return journal, transactions

    @scenario
    async def test_09_committed(self, stage: Stage) -> None:
        journal, transactions = self._journal(stage)
        committed = stage.record("after_commit", "write", stage.models.Person)
        rolled_back = stage.record("after_rollback", "write", stage.models.Person)
        async with stage.session() as session:
            await session.add(stage.models.Person(name="Ann"))
            await session.flush()
            outcomes = [transactions[0].outcome]
            await session.commit()
        assert journal == ["before_commit", "late before_commit", "after_commit", "late after_commit"]
        assert (len(committed), rolled_back) == (1, [])
        assert [*outcomes, transactions[0].outcome] == [Outcome.OPEN, Outcome.COMMITTED]

    @scenario
    async def test_09_rolled_back(self, stage: Stage) -> None:
        journal, transactions = self._journal(stage)
        committed = stage.record("after_commit", "write", stage.models.Person)
        rolled_back = stage.record("after_rollback", "write", stage.models.Person)
        async with stage.session() as session:
            await session.add(stage.models.Person(name="Ann"))
            await session.flush()
            await session.rollback()
        assert sorted(journal) == ["after_rollback", "late after_rollback"]
        assert (committed, _names(rolled_back)) == ([], ["Ann"])
        assert transactions[0].outcome is Outcome.ROLLED_BACK

    @scenario
    async def test_09_commit_failed(self, stage: Stage) -> None:
        journal, transactions = self._journal(stage)
        committed = stage.record("after_commit", "write", stage.models.Person)
        rolled_back = stage.record("after_rollback", "write", stage.models.Person)
        async with stage.session() as session:
            await session.add(stage.models.Person(name="Ann"))
            with stage.harness.fail_commit(), pytest.raises(Exception) as failure:
                await session.commit()
            await session.rollback()
        assert not isinstance(failure.value, AssertionError)
        assert journal[:4] == ["before_commit", "late before_commit", "late revert", "revert"]
        assert sorted(journal[4:]) == ["after_rollback", "late after_rollback"]
        assert (committed, _names(rolled_back)) == ([], ["Ann"])
        assert transactions[0].outcome is Outcome.COMMIT_FAILED
        assert await stage.harness.rows(stage.models.Person) == {}

    @scenario
    async def test_09_the_session_goes_on_after_a_failed_commit(self, stage: Stage) -> None:
        Person = stage.models.Person
        committed = stage.record("after_commit", "write", Person)
        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            with stage.harness.fail_commit(), contextlib.suppress(Exception):
                await session.commit()
            await session.rollback()
            await session.add(Person(name="Bob"))
            await session.commit()
        assert _names(committed) == ["Bob"]

    @scenario
    async def test_09_a_failing_before_commit_reverts_what_had_run_in_reverse(self, stage: Stage) -> None:
        Person = stage.models.Person
        said: list[str] = []

        class Step(Operation):
            name = "first"
            order = 1

            def before_commit(self) -> None:
                said.append(self.name)

            def revert(self) -> None:
                said.append(f"revert {self.name}")

        class Second(Step):
            name = "second"
            order = 2

        class Failing(Step):
            name = "failing"
            order = 3

            def before_commit(self) -> None:
                said.append(self.name)
                raise RuntimeError("failing")

        class Never(Step):
            name = "never"
            order = 4

        @stage.hook("after", "insert", Person)
        async def steps(change: Any, tx: Any) -> None:
            for step in (Never, Failing, Second, Step):
                step.of(tx).add(change)

        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            with pytest.raises(RuntimeError, match="failing"):
                await session.commit()
            await session.rollback()
        assert said == ["first", "second", "failing", "revert failing", "revert second", "revert first"]
        assert await stage.harness.rows(Person) == {}

    @pytest.mark.parametrize("write", ["insert", "update", "delete", "link"])
    @pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
    @scenario
    async def test_09_a_connection_lost_during_commit_is_settled(self, stage: Stage, arrived: bool, write: str) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag
        losing = stage.harness.lose_connection_on_commit(arrived=arrived)
        if losing is None:
            pytest.skip("this database has no connection that could be lost")
        key, tag_key = await stage.given(Person(name="Ann", age=1)), await stage.given(Tag(label="t"))
        with _reported(stage, write) as (committed, rolled_back):
            async with stage.session() as session:
                ann = await session.get(Person, key)
                if write == "insert":
                    await session.add(Person(name="Bob"))
                elif write == "update":
                    await session.set(ann, age=2)
                elif write == "delete":
                    await session.delete(ann)
                else:
                    await session.link(ann, "tags", await session.get(Tag, tag_key))
                await session.flush()
                tx = session.transaction()
                # Whether the caller learns of the lost connection is the library's affair.
                with losing, contextlib.suppress(Exception):
                    await session.commit()
            assert len(committed) == (1 if arrived else 0)
            assert len(rolled_back) == (0 if arrived else 1)
            assert tx.outcome is (Outcome.COMMITTED if arrived else Outcome.COMMIT_FAILED)


@contextlib.contextmanager
def _reported(stage: Stage, write: str) -> Iterator[tuple[list[Call], list[Call]]]:
    target = stage.models.Person.tags if write == "link" else stage.models.Person
    yield stage.record("after_commit", write, target), stage.record("after_rollback", write, target)
