"""Lines 12 and 13: which hooks a session can run, and what hooks that concern nothing cost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hookline import Hooks
from hookline.errors import AsyncHookError, NotFollowedError
from hookline.testing.stage import Stage, scenario


class TestAsyncHooks:
    """12. Async hooks run in async sessions, and are refused in others."""

    @pytest.mark.parametrize("phase", ["before", "check", "after", "before_commit", "after_commit"])
    @scenario
    async def test_12_an_async_hook_runs_in_an_async_session_and_nowhere_else(self, stage: Stage, phase: str) -> None:
        Person = stage.models.Person
        ran: list[str] = []

        async def greet_slowly(change: Any) -> None:
            await asyncio.sleep(0)
            ran.append(change.new["name"])

        stage.hooks.add(greet_slowly, phase, "insert", Person)
        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            if stage.harness.is_async:
                await session.commit()
                assert ran == ["Ann"]
            else:
                with pytest.raises(AsyncHookError, match="greet_slowly"):
                    await session.flush()
                await session.rollback()
                assert ran == []
        assert len(await stage.harness.rows(Person)) == (1 if stage.harness.is_async else 0)

    @pytest.mark.parametrize("phase", ["before", "check", "after", "before_commit", "after_commit"])
    @scenario
    async def test_12_a_sync_hook_runs_in_any_session(self, stage: Stage, phase: str) -> None:
        Person = stage.models.Person
        ran: list[str] = []

        def greet(change: Any) -> None:
            ran.append(change.new["name"])

        stage.hooks.add(greet, phase, "insert", Person)
        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.commit()
        assert ran == ["Ann"]


class TestNothingToDo:
    """13. With no hook for a model, its writes cost nothing and behave as if Hookline were not there."""

    async def _story(self, stage: Stage, *, attached: bool) -> list[str]:
        """What was sent, sorted: the order of unrelated tables is the library's affair."""
        Person, Tag, Order = stage.models.Person, stage.models.Tag, stage.models.Order
        await stage.harness.clear()
        async with stage.harness.open(attached=attached) as session:
            with stage.statements() as statements:
                ann, bob, tag = Person(name="Ann"), Person(name="Bob"), Tag(label="t")
                await session.add(ann, bob, tag, Order())
                await session.link(ann, "boss", bob)
                await session.link(ann, "tags", tag)
                await session.flush()
                await session.set(bob, age=3)
                async with session.savepoint() as savepoint:
                    await session.delete(tag)
                    await session.flush()
                    await savepoint.rollback()
                await session.commit()
                await session.set(ann, age=4)
                await session.delete(bob)
                await session.commit()
        return sorted(statements)

    @scenario
    async def test_13_the_same_statements_are_sent(self, stage: Stage) -> None:
        Company = stage.models.Company
        bare = await self._story(stage, attached=False)
        stage.record_all("write", Company)
        assert await self._story(stage, attached=True) == bare
        assert bare != []

    @scenario
    async def test_13_an_empty_rule_book_sends_the_same_statements(self, stage: Stage) -> None:
        bare = await self._story(stage, attached=False)
        assert await self._story(stage, attached=True) == bare

    @scenario
    async def test_13_a_transaction_says_what_it_does_not_follow(self, stage: Stage) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag
        stage.record("after_commit", "insert", Person)
        async with stage.session() as session:
            await session.add(Person(name="Ann"), Tag(label="t"))
            await session.flush()
            tx = session.transaction()
            assert len(tx.changes(Person)) == 1
            with pytest.raises(NotFollowedError, match="Tag"):
                tx.changes(Tag)
            await session.rollback()

    @scenario
    async def test_13_a_model_that_is_followed_has_net_changes_without_a_hook(self, stage: Stage) -> None:
        Tag = stage.models.Tag
        stage.hooks.follow(Tag)
        async with stage.session() as session:
            tag = Tag(label="t")
            await session.add(tag)
            await session.flush()
            (change,) = session.transaction().changes(Tag)
            assert (change.event, change.key, change.new["label"]) == ("insert", stage.harness.key(tag), "t")
            await session.rollback()

    @scenario
    async def test_13_only_the_hooks_of_the_model_run(self, stage: Stage) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag
        people = stage.record_all("write", Person)
        tags = stage.record_all("write", Tag)
        everything = stage.record("after_commit", "write")
        async with stage.session() as session:
            await session.add(Person(name="Ann"), stage.models.Company(name="Acme"))
            await session.commit()
        assert {call.model for call in people} == {Person}
        assert tags == []
        assert sorted(call.model.__name__ for call in everything) == ["Company", "Person"]

    @scenario
    async def test_13_what_is_detached_runs_nothing(self, stage: Stage) -> None:
        Person = stage.models.Person
        first = stage.hooks
        calls = stage.record_all("write", Person)
        stage.attach(Hooks())
        async with stage.session() as session:
            await session.add(Person(name="Ann"))
            await session.commit()
        assert calls == []
        stage.attach(first)
        async with stage.session() as session:
            await session.add(Person(name="Bob"))
            await session.commit()
        assert [call.new and call.new["name"] for call in calls] == ["Bob"] * 5
