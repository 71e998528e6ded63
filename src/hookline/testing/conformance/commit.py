"""Lines 5 and 6: net changes, and the phase before COMMIT."""

from __future__ import annotations

from typing import Any

import pytest

from hookline import Operation, ValidationError
from hookline.testing.stage import Stage, scenario


class TestNetChanges:
    """5. The commit phases get net changes."""

    @scenario
    async def test_05_insert_then_update_is_insert(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls = [stage.record(phase, "write", Person) for phase in ("before_commit", "after_commit")]
        async with stage.session() as session:
            ann = Person(name="Ann", age=1)
            await session.add(ann)
            await session.flush()
            await session.set(ann, age=2)
            await session.flush()
            await session.set(ann, age=3)
            await session.commit()
        for (call,) in calls:
            assert (call.event, call.old, call.new and call.new["age"]) == ("insert", {}, 3)

    @scenario
    async def test_05_insert_then_delete_is_nothing(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls = [stage.record(phase, "write", Person) for phase in ("before_commit", "after_commit")]
        async with stage.session() as session:
            ann = Person(name="Ann")
            await session.add(ann)
            await session.flush()
            await session.delete(ann)
            await session.commit()
        assert calls == [[], []]

    @scenario
    async def test_05_update_then_delete_is_delete_with_the_first_values(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=1))
        calls = [stage.record(phase, "write", Person) for phase in ("before_commit", "after_commit")]
        async with stage.session() as session:
            ann = await session.get(Person, key)
            await session.set(ann, age=2)
            await session.flush()
            await session.delete(ann)
            await session.commit()
        for (call,) in calls:
            assert (call.event, call.key, call.new) == ("delete", key, {})
            assert call.old is not None and call.old["age"] == 1

    @scenario
    async def test_05_there_and_back_is_nothing(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=1))
        calls = [stage.record(phase, "write", Person) for phase in ("before_commit", "after_commit")]
        async with stage.session() as session:
            ann = await session.get(Person, key)
            await session.set(ann, age=2)
            await session.flush()
            await session.set(ann, age=1)
            await session.commit()
        assert calls == [[], []]

    @scenario
    async def test_05_several_updates_are_one_from_first_old_to_last_new(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=1))
        calls = stage.record("after_commit", "write", Person)
        async with stage.session() as session:
            ann = await session.get(Person, key)
            for age in (2, 3, 4):
                await session.set(ann, age=age)
                await session.flush()
            await session.set(ann, name="Anna")
            await session.commit()
        (call,) = calls
        assert call.event == "update" and call.fields == {"age", "name"}
        assert call.old is not None and call.new is not None
        assert (call.old["age"], call.old["name"]) == (1, "Ann")
        assert (call.new["age"], call.new["name"]) == (4, "Anna")

    @scenario
    async def test_05_delete_then_insert_of_the_same_key_is_update(self, stage: Stage) -> None:
        Tag = stage.models.Tag
        await stage.given(Tag(id=7, label="old"))
        calls = stage.record("after_commit", "write", Tag)
        async with stage.session() as session:
            await session.delete(await session.get(Tag, 7))
            await session.flush()
            await session.add(Tag(id=7, label="new"))
            await session.commit()
        (call,) = calls
        assert (call.event, call.key) == ("update", 7)
        assert call.old is not None and call.new is not None
        assert (call.old["label"], call.new["label"]) == ("old", "new")

    @scenario
    async def test_05_delete_then_insert_of_an_equal_row_is_nothing(self, stage: Stage) -> None:
        Tag = stage.models.Tag
        await stage.given(Tag(id=7, label="same"))
        calls = stage.record("after_commit", "write", Tag)
        async with stage.session() as session:
            await session.delete(await session.get(Tag, 7))
            await session.flush()
            await session.add(Tag(id=7, label="same"))
            await session.commit()
        assert calls == []

    @scenario
    async def test_05_link_then_unlink_is_nothing(self, stage: Stage) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag
        ann_key, tag_key = await stage.given(Person(name="Ann")), await stage.given(Tag(label="t"))
        calls = [
            stage.record("after_commit", event, relation)
            for event in ("link", "unlink")
            for relation in (Person.tags, Person.boss)
        ]
        bob_key = await stage.given(Person(name="Bob"))
        async with stage.session() as session:
            ann, bob = await session.get(Person, ann_key), await session.get(Person, bob_key)
            tag = await session.get(Tag, tag_key)
            await session.link(ann, "tags", tag)
            await session.link(ann, "boss", bob)
            await session.flush()
            await session.unlink(ann, "tags", tag)
            await session.unlink(ann, "boss", bob)
            await session.commit()
        assert calls == [[], [], [], []]

    @scenario
    async def test_05_a_net_link_is_from_first_to_last(self, stage: Stage) -> None:
        Person = stage.models.Person
        keys = [await stage.given(Person(name=name)) for name in ("Ann", "Bob", "Cid", "Dee")]
        linked = stage.record("after_commit", "link", Person.boss)
        unlinked = stage.record("after_commit", "unlink", Person.boss)
        async with stage.outside() as session:
            ann, bob = await session.get(Person, keys[0]), await session.get(Person, keys[1])
            await session.link(ann, "boss", bob)
            await session.commit()
        async with stage.session() as session:
            ann = await session.get(Person, keys[0])
            for key in keys[2:]:
                await session.link(ann, "boss", await session.get(Person, key))
                await session.flush()
            await session.commit()
        assert [(call.subject_key, call.object_key) for call in unlinked] == [(keys[0], keys[1])]
        assert [(call.subject_key, call.object_key) for call in linked] == [(keys[0], keys[3])]

    @scenario
    async def test_05_a_hook_may_ask_for_every_step(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls = stage.record("after_commit", "write", Person, net=False)
        async with stage.session() as session:
            ann = Person(name="Ann", age=1)
            await session.add(ann)
            await session.flush()
            await session.set(ann, age=2)
            await session.flush()
            await session.delete(ann)
            await session.commit()
        assert [call.event for call in calls] == ["insert", "update", "delete"]
        assert [call.new and call.new.get("age") for call in calls[:2]] == [1, 2]

    @scenario
    async def test_05_the_transaction_knows_its_net_changes(self, stage: Stage) -> None:
        Person = stage.models.Person
        keys = [await stage.given(Person(name=name)) for name in ("Ann", "Bob")]
        stage.hooks.follow(Person)
        async with stage.session() as session:
            ann, bob = [await session.get(Person, key) for key in keys]
            cid = Person(name="Cid")
            await session.set(ann, age=5)
            await session.delete(bob)
            await session.add(cid)
            await session.flush()
            tx = session.transaction()
            assert tx.updated(ann) and tx.updated(Person, keys[0]) and not tx.added(ann)
            assert tx.deleted(bob) and tx.deleted(Person, keys[1])
            assert tx.added(cid) and not tx.updated(cid) and not tx.deleted(cid)
            assert sorted(change.event for change in tx.changes(Person)) == ["delete", "insert", "update"]
            await session.rollback()


class TestBeforeCommit:
    """6. `before_commit` runs until nothing new appears; a failure there rolls back everything."""

    @scenario
    async def test_06_it_gets_all_net_changes_in_one_call(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls: list[int] = []

        @stage.hook("before_commit", "insert", Person)
        async def count(changes: Any) -> None:
            calls.append(len(changes))

        async with stage.session() as session:
            for name in ("Ann", "Bob", "Cid"):
                await session.add(Person(name=name))
                await session.flush()
            await session.commit()
        assert calls == [3]

    @scenario
    async def test_06_what_it_writes_comes_to_before_commit_in_turn(self, stage: Stage) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag
        people: list[int] = []
        tags: list[str] = []

        @stage.hook("before_commit", "insert", Person)
        async def tag(changes: Any, session: Any) -> None:
            people.append(len(changes))
            for change in changes:
                await stage.harness.wrap(session).add(Tag(label=change.new["name"]))

        @stage.hook("before_commit", "insert", Tag, order=-1)
        async def look(changes: Any) -> None:
            tags.extend(change.new["label"] for change in changes)

        committed = stage.record("after_commit", "insert", Tag)
        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.commit()
        assert (people, tags) == ([1], ["Ann"])
        assert [call.new and call.new["label"] for call in committed] == ["Ann"]
        assert len(await stage.harness.rows(Tag)) == 1

    @scenario
    async def test_06_a_chain_goes_on_until_nothing_new_appears(self, stage: Stage) -> None:
        Person = stage.models.Person
        rounds: list[int] = []

        @stage.hook("before_commit", "write", Person)
        async def count_to_five(changes: Any, session: Any) -> None:
            for change in changes:
                rounds.append(change.new["age"])
                if change.new["age"] < 5:
                    await stage.harness.wrap(session).set(change.entity, age=change.new["age"] + 1)

        calls = stage.record("after_commit", "write", Person)
        async with stage.session() as session:
            await session.add(Person(name="Ann", age=1))
            await session.commit()
        assert rounds == [1, 2, 3, 4, 5]
        assert [(call.event, call.new and call.new["age"]) for call in calls] == [("insert", 5)]

    @scenario
    async def test_06_what_it_writes_is_checked(self, stage: Stage) -> None:
        Person = stage.models.Person

        @stage.hook("before_commit", "insert", Person)
        async def age_by_mistake(change: Any, session: Any) -> None:
            await stage.harness.wrap(session).set(change.entity, age=1000)

        @stage.hook("check", "save", Person)
        async def age_in_range(change: Any) -> None:
            if change.new["age"] > 120:
                raise ValidationError(change.entity, {"age": "must be at most 120"})

        async with stage.session() as session:
            await session.add(Person(name="Ann", age=1))
            with pytest.raises(ValidationError):
                await session.commit()
            await session.rollback()
        assert await stage.harness.rows(Person) == {}

    @pytest.mark.parametrize("error", [ValidationError, RuntimeError])
    @scenario
    async def test_06_a_failure_rolls_back_everything(self, stage: Stage, error: type[Exception]) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag
        committed = stage.record("after_commit", "write", Person)
        rolled_back: list[str] = []

        @stage.hook("before_commit", "insert", Person)
        async def refuse(change: Any) -> None:
            if error is ValidationError:
                raise ValidationError(change.entity, {"name": "no"})
            raise error("no")

        @stage.hook("after_rollback", "insert", Person)
        async def sorry(change: Any) -> None:
            rolled_back.append(change.new["name"])

        async with stage.session() as session:
            await session.add(Tag(label="t"))
            await session.flush()
            await session.add(Person(name="Ann"))
            with pytest.raises(error):
                await session.commit()
            await session.rollback()
        assert committed == []
        assert rolled_back == ["Ann"]
        assert await stage.harness.rows(Person) == {}
        assert await stage.harness.rows(Tag) == {}

    @scenario
    async def test_06_the_session_goes_on_after_a_failure(self, stage: Stage) -> None:
        Person = stage.models.Person
        committed = stage.record("after_commit", "write", Person)

        @stage.hook("before_commit", "insert", Person)
        async def no_bob(change: Any) -> None:
            if change.new["name"] == "Bob":
                raise ValidationError(change.entity, {"name": "not Bob"})

        async with stage.session() as session:
            await session.add(Person(name="Bob"))
            with pytest.raises(ValidationError):
                await session.commit()
            await session.rollback()
            await session.add(Person(name="Ann"))
            await session.commit()
        assert [call.new and call.new["name"] for call in committed] == ["Ann"]
        assert [row["name"] for row in (await stage.harness.rows(Person)).values()] == ["Ann"]

    @scenario
    async def test_06_operations_run_once_in_order(self, stage: Stage) -> None:
        Person = stage.models.Person
        said: list[str] = []

        class Late(Operation):
            order = Operation.LATE

            def before_commit(self) -> None:
                said.append(f"late {sorted(self.items)}")

        class Early(Operation):
            order = Operation.EARLY

            def before_commit(self) -> None:
                said.append(f"early {sorted(self.items)}")

            def after_commit(self) -> None:
                said.append("early done")

        @stage.hook("after", "insert", Person)
        async def gather(change: Any, tx: Any) -> None:
            Late.of(tx).add(change.new["name"])
            Early.of(tx).add(change.new["name"])

        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.flush()
            await session.add(Person(name="Bob"))
            await session.commit()
        assert said == ["early ['Ann', 'Bob']", "late ['Ann', 'Bob']", "early done"]

    @scenario
    async def test_06_what_is_added_to_a_running_operation_runs_too(self, stage: Stage) -> None:
        Person = stage.models.Person
        ran: list[list[str]] = []

        class Relay(Operation):
            def before_commit(self) -> None:
                ran.append(list(self.items))
                if "Ann" in self.items:
                    Relay.of(self.tx).add("follow-up")

        @stage.hook("after", "insert", Person)
        async def gather(change: Any, tx: Any) -> None:
            Relay.of(tx).add(change.new["name"])

        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.commit()
        assert ran == [["Ann"], ["follow-up"]]
