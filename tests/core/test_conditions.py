"""Conditions, categories, contexts, explanations and traces."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hookline import Hooks, TargetError, UnknownEventError, becomes, changed, from_user, was
from hookline.core.change import ValueChange
from hookline.core.control import Control


def update(**values: tuple[Any, Any]) -> ValueChange[Any]:
    return ValueChange(
        "update", dict, old={n: v[0] for n, v in values.items()}, new={n: v[1] for n, v in values.items()}
    )


def test_conditions_compose() -> None:
    move = update(status=("draft", "paid"), age=(1, 1))
    assert changed("status")(move)
    assert changed("age", "status")(move)
    assert not changed("age")(move)
    assert changed("status", "draft", "paid")(move)
    assert not changed("status", "paid", "draft")(move)
    assert (was("status", "draft") & becomes("status", "paid"))(move)
    assert (changed("age") | ~changed("age"))(move)
    assert not becomes("age", 1)(move)
    assert from_user()(move)
    assert (changed("status") & (lambda change: change.new["age"] == 1))(move)
    assert ((lambda change: False) | changed("status"))(move)
    assert str(~(changed("a") & was("b", 1)) | from_user()) == "~(changed('a') & was('b', 1)) | from_user()"


def test_an_insert_changes_what_is_not_none() -> None:
    insert = ValueChange("insert", dict, new={"age": 1, "name": None})
    assert changed("age")(insert)
    assert not changed("name")(insert)
    assert becomes("age", 1)(insert)
    assert not was("age", 1)(insert)


def test_nested_categories_only_narrow() -> None:
    outer = Control(True, frozenset({"integrity", "mail"}), None)
    inner = Control(False, frozenset({"mail"}), outer)
    assert inner.permits("integrity", False)
    assert not inner.permits("mail", False)
    assert not inner.permits(None, False)
    assert inner.permits("mail", True)


def test_categories_and_contexts_hold_for_one_task_only() -> None:
    hooks = Hooks()

    async def other() -> Any:
        return dict(hooks.surroundings.values), hooks.surroundings.control

    async def main() -> None:
        task = asyncio.create_task(other())
        with hooks.context(user="ada"), hooks.deny_all_but("mail"), hooks.context(request=1):
            assert hooks.surroundings.values == {"user": "ada", "request": 1}
            assert await task == ({}, None)
        assert hooks.surroundings.values == {}

    asyncio.run(main())


def test_explain_says_why_and_why_not() -> None:
    hooks = Hooks()
    hooks.add(lambda change: None, "check", "save", dict, name="age", when=changed("age") & ~was("age", 0))
    hooks.add(lambda change: None, "before", "save", dict, name="tidy", category="tidy")
    hooks.add(lambda change: None, "before", "insert", dict, name="new")
    hooks.add(lambda change: None, "after", "save", list, name="list")
    hooks.add(lambda change: None, "after", "save", dict, name="safe", category="tidy", protected=True)
    hooks.add(lambda change: None, "check", "save", dict, name="broken", when=lambda change: change.new["no"])
    with hooks.allow_all_but("tidy"):
        answer = hooks.explain("update", dict, old={"age": 1}, new={"age": 2})
    assert answer.runs == ["age", "safe"]
    assert answer.skips == ["tidy", "new", "broken", "list"]
    text = str(answer)
    assert "holds: changed('age') (age: 1 -> 2)" in text
    assert "allow_all_but('tidy') forbids category 'tidy'" in text
    assert "the event is update, it is for insert" in text
    assert "the target is dict, it is for list" in text
    assert "but the hook is protected" in text
    assert "raises KeyError('no')" in text
    assert hooks.explain("update", dict, old={}, new={}, phase="after").runs == ["safe"]


def test_explain_takes_one_event_and_a_class() -> None:
    hooks = Hooks()
    with pytest.raises(UnknownEventError, match="several"):
        hooks.explain("save", dict)
    with pytest.raises(TargetError):
        hooks.explain("insert", None)
    with pytest.raises(TargetError, match="relation"):
        hooks.explain("link", dict)
