"""Lines 1 to 4: what happens around one flush."""

# ruff: noqa: ARG001 - a hook's parameters are what it asks for

from __future__ import annotations

from typing import Any

import pytest

from hookline import Hooks, ValidationError
from hookline.errors import HookLoopError, ReadOnlyError
from hookline.testing.stage import Stage, scenario


class TestSameValues:
    """1. An update whose values do not differ in the end fires nothing."""

    @scenario
    async def test_01_setting_the_value_it_has_fires_nothing(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=30))
        calls = stage.record_all("write", Person)
        async with stage.session() as session:
            ann = await session.get(Person, key)
            await session.set(ann, age=30, name="Ann")
            await session.commit()
        assert calls == []

    @scenario
    async def test_01_there_and_back_before_the_flush_fires_nothing(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=30))
        calls = stage.record_all("write", Person)
        async with stage.session() as session:
            ann = await session.get(Person, key)
            await session.set(ann, age=31)
            await session.set(ann, age=30)
            await session.commit()
        assert calls == []

    @scenario
    async def test_01_a_before_hook_that_restores_the_old_value_ends_the_change(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=30))
        later = [stage.record(phase, "write", Person) for phase in ("after", "before_commit", "after_commit")]

        @stage.hook("before", "update", Person)
        async def keep_age(change: Any) -> None:
            change.new["age"] = change.old["age"]

        async with stage.session() as session:
            await session.set(await session.get(Person, key), age=31)
            await session.commit()
        assert later == [[], [], []]
        assert (await stage.harness.rows(Person))[key]["age"] == 30

    @scenario
    async def test_01_a_real_difference_fires_once_in_each_phase(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=30))
        calls = stage.record_all("write", Person)
        async with stage.session() as session:
            await session.set(await session.get(Person, key), age=31)
            await session.commit()
        assert [call.phase for call in calls] == ["before", "check", "after", "before_commit", "after_commit"]
        for call in calls:
            assert (call.event, call.model, call.key) == ("update", Person, key)
            assert call.old is not None and call.new is not None
            assert (call.old["age"], call.new["age"]) == (30, 31)
            assert (call.old["name"], call.new["name"]) == ("Ann", "Ann")
            assert call.fields == {"age"}
            assert (call.cause, call.depth) == (None, 0)

    @scenario
    async def test_01_only_some_of_the_values_differ(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=30))
        calls = stage.record_all("update", Person)
        async with stage.session() as session:
            await session.set(await session.get(Person, key), age=30, name="Anna")
            await session.commit()
        assert {call.fields for call in calls} == {frozenset({"name"})}


class TestChecks:
    """2. What is checked is what is written."""

    @scenario
    async def test_02_check_sees_what_before_hooks_left(self, stage: Stage) -> None:
        Person = stage.models.Person
        seen: list[str] = []

        @stage.hook("check", "save", Person)
        async def look(change: Any) -> None:
            seen.append(change.new["name"])

        @stage.hook("before", "save", Person, order=2)
        async def shout(change: Any) -> None:
            change.new["name"] = change.new["name"] + "!"

        @stage.hook("before", "save", Person, order=1)
        async def strip(change: Any) -> None:
            change.new["name"] = change.new["name"].strip()

        async with stage.session() as session:
            ann = Person(name=" Ann ")
            await session.add(ann)
            await session.commit()
            key = stage.harness.key(ann)
        assert seen == ["Ann!"]
        assert (await stage.harness.rows(Person))[key]["name"] == "Ann!"

    @scenario
    async def test_02_setting_an_attribute_of_the_entity_edits_the_write_too(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls = stage.record("check", "save", Person)

        @stage.hook("before", "save", Person)
        async def older(change: Any, entity: Any) -> None:
            entity.age = 40

        async with stage.session() as session:
            ann = Person(name="Ann", age=1)
            await session.add(ann)
            await session.commit()
            key = stage.harness.key(ann)
        assert [call.new and call.new["age"] for call in calls] == [40]
        assert (await stage.harness.rows(Person))[key]["age"] == 40

    @scenario
    async def test_02_each_before_hook_sees_the_values_that_those_before_it_left(self, stage: Stage) -> None:
        Person = stage.models.Person
        seen: list[int] = []
        for order in range(3):

            @stage.hook("before", "save", Person, order=order, name=f"count {order}")
            async def count(change: Any, entity: Any) -> None:
                assert entity.age == change.new["age"]
                seen.append(change.new["age"])
                change.new["age"] += 1

        async with stage.session() as session:
            await session.add(Person(name="Ann", age=1))
            await session.commit()
        assert seen == [1, 2, 3]

    @scenario
    async def test_02_dropping_an_edit_brings_the_old_value_back(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=30))

        @stage.hook("before", "update", Person)
        async def never_the_age(change: Any) -> None:
            if "age" in change.fields:
                del change.new["age"]

        async with stage.session() as session:
            await session.set(await session.get(Person, key), age=31, name="Anna")
            await session.commit()
        row = (await stage.harness.rows(Person))[key]
        assert (row["name"], row["age"]) == ("Anna", 30)

    @scenario
    async def test_02_a_check_cannot_edit(self, stage: Stage) -> None:
        Person = stage.models.Person

        @stage.hook("check", "save", Person)
        async def meddle(change: Any) -> None:
            change.new["age"] = 3

        async with stage.session() as session:
            await session.add(Person(name="Ann", age=1))
            with pytest.raises(ReadOnlyError, match="meddle"):
                await session.flush()
            await session.rollback()
        assert await stage.harness.rows(Person) == {}

    @scenario
    async def test_02_a_write_to_another_entity_is_a_change_of_its_own(self, stage: Stage) -> None:
        Person, Company = stage.models.Person, stage.models.Company
        key = await stage.given(Company(name="Acme"))
        calls = stage.record_all("update", Company)

        async with stage.session() as session:
            acme = await session.get(Company, key)

            @stage.hook("before", "insert", Person)
            async def rename_company(change: Any, session: Any) -> None:
                await stage.harness.wrap(session).set(acme, name="Acme & Co")

            await session.add(Person(name="Ann"))
            await session.commit()
        assert [call.phase for call in calls] == ["before", "check", "after", "before_commit", "after_commit"]
        assert {(call.cause, call.depth) for call in calls[:3]} == {("rename_company", 1)}
        assert (await stage.harness.rows(Company))[key]["name"] == "Acme & Co"

    @pytest.mark.parametrize("first", ["Company", "Person"])
    @scenario
    async def test_02_an_entity_written_again_by_a_hook_is_checked_again(self, stage: Stage, first: str) -> None:
        """Both are pending in one flush; the hook of one edits the other, in either order."""
        Person, Company = stage.models.Person, stage.models.Company
        company_key = await stage.given(Company(name="Acme"))
        person_key = await stage.given(Person(name="Ann", age=1))
        checked: list[str] = []
        asked: list[tuple[str, int]] = []

        async with stage.session() as session:
            acme = await session.get(Company, company_key)
            ann = await session.get(Person, person_key)

            @stage.hook("before", "update", Person, order=1 if first == "Company" else 0)
            async def rename_company(change: Any, session: Any) -> None:
                await stage.harness.wrap(session).set(acme, name=" by hook ")

            @stage.hook("before", "update", Company, order=0 if first == "Company" else 1)
            async def strip(change: Any) -> None:
                asked.append((change.new["name"], change.depth))
                change.new["name"] = change.new["name"].strip()

            @stage.hook("check", "update", Company)
            async def look(change: Any) -> None:
                checked.append(change.new["name"])

            for entity in (acme, ann) if first == "Company" else (ann, acme):
                await session.set(entity, name="by user")
            await session.commit()
        assert (await stage.harness.rows(Company))[company_key]["name"] == "by hook"
        assert checked[-1] == "by hook"
        assert [depth for _, depth in asked] == [0, 1]

    @scenario
    async def test_02_what_a_refusing_check_saw_is_not_written(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=30))

        @stage.hook("check", "save", Person)
        async def age_in_range(change: Any) -> None:
            if not 0 <= change.new["age"] <= 120:
                raise ValidationError(change.entity, {"age": "must be between 0 and 120"})

        async with stage.session() as session:
            ann = await session.get(Person, key)
            await session.set(ann, age=130)
            with pytest.raises(ValidationError) as refusal:
                await session.flush()
            assert [(problem.entity, problem.field) for problem in refusal.value.problems] == [(ann, "age")]
            await session.rollback()
        assert (await stage.harness.rows(Person))[key]["age"] == 30

    @scenario
    async def test_02_the_refusals_of_one_flush_are_gathered(self, stage: Stage) -> None:
        Person = stage.models.Person

        @stage.hook("before", "save", Person)
        async def has_name(change: Any) -> None:
            if not change.new["name"]:
                raise ValidationError(change.entity, {"name": "is needed"})

        @stage.hook("check", "save", Person)
        async def age_in_range(change: Any) -> None:
            if change.new["age"] > 120:
                raise ValidationError(change.entity, {"age": "must be at most 120"})

        async with stage.session() as session:
            await session.add(Person(name="", age=3), Person(name="Ann", age=130), Person(name="", age=140))
            with pytest.raises(ValidationError) as refusal:
                await session.flush()
            await session.rollback()
        fields = sorted(problem.field for problem in refusal.value.problems)
        assert fields == ["age", "age", "name", "name"]
        assert await stage.harness.rows(Person) == {}

    @scenario
    async def test_02_checks_of_set_at_a_time_hooks_see_every_change_of_the_round(self, stage: Stage) -> None:
        Person = stage.models.Person
        calls: list[list[int]] = []

        @stage.hook("before", "insert", Person)
        async def older(changes: Any) -> None:
            for change in changes:
                change.new["age"] += 1

        @stage.hook("check", "insert", Person)
        async def look(changes: Any) -> None:
            calls.append(sorted(change.new["age"] for change in changes))

        async with stage.session() as session:
            await session.add(*(Person(name="Ann", age=age) for age in range(5)))
            await session.commit()
        assert calls == [[1, 2, 3, 4, 5]]


class TestRounds:
    """3. Rounds go on until nothing is pending."""

    @scenario
    async def test_03_a_chain_of_hooks_runs_to_its_end(self, stage: Stage) -> None:
        Person = stage.models.Person
        people = [Person(name=f"p{number}", age=0) for number in range(6)]

        @stage.hook("before", "insert", Person)
        async def beget(change: Any, session: Any) -> None:
            number = people.index(change.entity)
            if number + 1 < len(people):
                await stage.harness.wrap(session).add(people[number + 1])

        calls = stage.record("after", "insert", Person)
        async with stage.session() as session:
            await session.add(people[0])
            await session.commit()
        assert sorted(row["name"] for row in (await stage.harness.rows(Person)).values()) == [
            f"p{number}" for number in range(6)
        ]
        assert sorted(call.depth for call in calls) == [0, 1, 2, 3, 4, 5]

    @pytest.mark.parametrize("phase", ["before", "after"])
    @scenario
    async def test_03_a_loop_is_an_error_that_shows_the_chain(self, stage: Stage, phase: str) -> None:
        Person = stage.models.Person
        stage.attach(Hooks(max_depth=5))
        ann_key = await stage.given(Person(name="Ann", age=1))
        bob_key = await stage.given(Person(name="Bob", age=1))

        async with stage.session() as session:
            ann, bob = await session.get(Person, ann_key), await session.get(Person, bob_key)

            @stage.hook(phase, "update", Person)
            async def overtake(change: Any, session: Any) -> None:
                other = bob if change.entity is ann else ann
                await stage.harness.wrap(session).set(other, age=change.new["age"] + 1)

            await session.set(ann, age=10)
            with pytest.raises(HookLoopError) as loop:
                await session.flush()
            await session.rollback()
        message = str(loop.value)
        assert message.count("overtake") >= 5
        assert "age" in message and "12" in message
        assert {row["age"] for row in (await stage.harness.rows(Person)).values()} == {1}

    @scenario
    async def test_03_max_depth_itself_is_allowed(self, stage: Stage) -> None:
        Person = stage.models.Person
        stage.attach(Hooks(max_depth=3))
        people = [Person(name=f"p{number}", age=0) for number in range(4)]

        @stage.hook("before", "insert", Person)
        async def beget(change: Any, session: Any) -> None:
            number = people.index(change.entity)
            if number + 1 < len(people):
                await stage.harness.wrap(session).add(people[number + 1])

        async with stage.session() as session:
            await session.add(people[0])
            await session.commit()
        assert len(await stage.harness.rows(Person)) == 4


class TestAfter:
    """4. `after` hooks see keys and server defaults; what they write is flushed in turn."""

    @scenario
    async def test_04_after_sees_the_key_and_the_server_default(self, stage: Stage) -> None:
        Order, Person = stage.models.Order, stage.models.Person
        calls = stage.record("after", "insert", Order)
        async with stage.session() as session:
            ann = Person(name="Ann")
            order = Order()
            await session.link(order, "customer", ann)
            await session.add(ann, order)
            await session.flush()
            assert [call.key for call in calls] == [stage.harness.key(order)]
            assert calls[0].new is not None and calls[0].new["status"] == "new"
            assert calls[0].old == {}
            await session.commit()

    @scenario
    async def test_04_a_check_sees_the_server_default_too(self, stage: Stage) -> None:
        Order = stage.models.Order
        seen: list[Any] = []

        @stage.hook("check", "insert", Order)
        async def look(change: Any) -> None:
            seen.append(change.new["status"])

        async with stage.session() as session:
            await session.add(Order())
            await session.commit()
        assert seen == ["new"]

    @scenario
    async def test_04_what_after_writes_is_flushed_with_hooks(self, stage: Stage) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag
        tags = stage.record_all("insert", Tag)

        @stage.hook("before", "insert", Tag)
        async def lower(change: Any) -> None:
            change.new["label"] = change.new["label"].lower()

        @stage.hook("after", "insert", Person)
        async def tag(change: Any, session: Any) -> None:
            await stage.harness.wrap(session).add(Tag(label=f"PERSON-{change.key}"))

        async with stage.session() as session:
            ann = Person(name="Ann")
            await session.add(ann)
            await session.flush()
            key = stage.harness.key(ann)
            assert [call.phase for call in tags] == ["before", "check", "after"]
            await session.commit()
        assert [row["label"] for row in (await stage.harness.rows(Tag)).values()] == [f"person-{key}"]
        assert {(call.cause, call.depth) for call in tags[:3]} == {("tag", 1)}

    @scenario
    async def test_04_after_may_write_the_entity_itself(self, stage: Stage) -> None:
        Person = stage.models.Person

        @stage.hook("after", "insert", Person)
        async def name_by_key(change: Any, session: Any, entity: Any) -> None:
            await stage.harness.wrap(session).set(entity, name=f"person {change.key}")

        updates = stage.record("after", "update", Person)
        net = stage.record("after_commit", "write", Person)
        async with stage.session() as session:
            ann = Person(name="Ann")
            await session.add(ann)
            await session.commit()
            key = stage.harness.key(ann)
        assert [(call.event, call.cause, call.depth) for call in updates] == [("update", "name_by_key", 1)]
        assert [(call.event, call.new and call.new["name"]) for call in net] == [("insert", f"person {key}")]

    @scenario
    async def test_04_a_refusal_in_after_rolls_back(self, stage: Stage) -> None:
        Person = stage.models.Person

        @stage.hook("after", "insert", Person)
        async def refuse(change: Any) -> None:
            raise ValidationError(change.entity, {"name": "no"})

        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            with pytest.raises(ValidationError):
                await session.flush()
            await session.rollback()
        assert await stage.harness.rows(Person) == {}

    @scenario
    async def test_04_old_values_stay_real_when_the_attribute_was_never_loaded(self, stage: Stage) -> None:
        Person = stage.models.Person
        key = await stage.given(Person(name="Ann", age=30))
        calls = stage.record_all("update", Person)
        async with stage.session() as session:
            ann = await session.get(Person, key)
            await session.commit()  # what was loaded is out of date now
            await session.set(ann, age=31)
            await session.commit()
        assert [call.old and call.old["age"] for call in calls] == [30] * 5
