"""Mistakes at registration fail at once and teach."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from hookline import (
    DuplicateHookError,
    HookOrderError,
    Hooks,
    RegistrationError,
    TargetError,
    UnknownArgumentError,
    UnknownEventError,
    UnknownOptionError,
    UnknownPhaseError,
    UnknownPolicyError,
    changed,
)
from hookline.core.bypass import policy_of


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


def nothing(change: Any) -> None: ...


def test_an_unknown_event(hooks: Hooks) -> None:
    with pytest.raises(UnknownEventError, match=r"no event 'insrt'\. Did you mean 'insert'"):
        hooks.before("insrt", dict)
    with pytest.raises(UnknownEventError, match=r"@hooks\.before\('save', Person\)"):
        hooks.before(nothing)  # type: ignore[arg-type]


def test_an_unknown_phase(hooks: Hooks) -> None:
    with pytest.raises(UnknownPhaseError, match="Did you mean 'before_commit'"):
        hooks.add(nothing, "before_comit", "save")


def test_an_unknown_option(hooks: Hooks) -> None:
    with pytest.raises(UnknownOptionError, match="Did you mean 'order'"):
        hooks.add(nothing, "before", "save", ordr=3)
    with pytest.raises(RegistrationError, match="commit phases"):
        hooks.add(nothing, "before", "save", net=False)


def test_parameters_that_nothing_can_provide(hooks: Hooks) -> None:
    def typo(chnage: Any) -> None: ...
    def both(changes: Any, entity: Any) -> None: ...
    def stars(*args: Any) -> None: ...
    def positional(change: Any, /) -> None: ...

    for function, message in (
        (typo, "Did you mean 'change'"),
        (both, "for change in changes: change.entity"),
        (stars, r"\*args"),
        (positional, "by name"),
    ):
        with pytest.raises(UnknownArgumentError, match=message):
            hooks.add(function, "before", "save")
    with pytest.raises(UnknownArgumentError, match="not callable"):
        hooks.add("tidy", "before", "save", name="x")  # type: ignore[arg-type]
    assert len(hooks) == 0


def test_a_target_that_cannot_be_one(hooks: Hooks) -> None:
    for target in ("Person", 7, (), [dict, "x"]):
        with pytest.raises(TargetError):
            hooks.add(nothing, "before", "save", target)


def test_two_hooks_of_one_name(hooks: Hooks) -> None:
    hooks.add(nothing, "before", "save")
    with pytest.raises(DuplicateHookError, match=r"already, at .*test_registration.py:\d+"):
        hooks.add(nothing, "after", "save")
    hooks.add(nothing, "after", "save", name="other")
    with pytest.raises(DuplicateHookError):
        hooks.include(hooks_with(nothing))


@pytest.mark.parametrize("name", ["two\nlines", "two\u2028lines", "the end\n", "\r", 5, b"bytes"])
def test_a_name_is_a_text_of_one_line(hooks: Hooks, name: Any) -> None:
    with pytest.raises(RegistrationError, match="one line"):
        hooks.add(nothing, "before", "save", name=name)
    hooks.add(nothing, "before", "save", name="проверка имени, 名前: a\tb")


def hooks_with(function: Any) -> Hooks:
    book = Hooks("more")
    book.add(function, "before", "save")
    return book


def test_a_condition_that_is_none(hooks: Hooks) -> None:
    with pytest.raises(RegistrationError, match="when=changed"):
        hooks.add(nothing, "before", "save", when="age")
    with pytest.raises(RegistrationError, match="a & b"):
        bool(changed("age") and changed("name"))


def test_contradictory_order(hooks: Hooks) -> None:
    hooks.add(nothing, "before", "save", name="a", runs_before="b")
    hooks.add(nothing, "before", "save", name="b", runs_before="c")
    with pytest.raises(HookOrderError, match="'a' runs before 'b' runs before 'c' runs before 'a'"):
        hooks.add(nothing, "before", "save", name="c", runs_before=["a"])
    hooks.add(nothing, "before", "save", name="late", order=5)
    with pytest.raises(HookOrderError, match="order=5 comes after order=0"):
        hooks.add(nothing, "before", "save", name="early", runs_after="late")
    with pytest.raises(HookOrderError, match="different phases"):
        hooks.add(nothing, "after", "save", name="x", runs_after="a")


def test_an_order_that_names_nobody_is_found_when_the_plan_is_made(hooks: Hooks) -> None:
    hooks.add(nothing, "before", "save", name="tidy_name", runs_after="tidy_nmae")
    with pytest.raises(HookOrderError, match=r"not registered\. Did you mean 'tidy_name'"):
        hooks.plan.ordered


def test_order_then_constraints_then_registration(hooks: Hooks) -> None:
    for name, options in {
        "d": {"order": 1}, "b": {"runs_after": "c"}, "c": {}, "a": {"order": -1}, "e": {"order": 1, "runs_before": "d"},
    }.items():  # fmt: skip
        hooks.add(nothing, "before", "save", name=name, **options)
    assert [hook.name for hook in hooks.plan.ordered] == ["a", "c", "b", "e", "d"]


def test_methods_partials_and_objects_can_be_hooks(hooks: Hooks) -> None:
    class Rules:
        def method(self, change: Any) -> None: ...
        def __call__(self, change: Any) -> None: ...

    hooks.add(Rules().method, "before", "save")
    hooks.add(functools.partial(lambda change, limit: None, limit=3), "before", "save", name="partial")
    hooks.add(Rules(), "before", "save")
    assert [hook.name for hook in hooks] == ["method", "partial", "Rules"]


def test_keyword_only_parameters(hooks: Hooks) -> None:
    def by_name(*, change: Any) -> None: ...

    assert not hooks.add(by_name, "before", "save").arguments.direct


def test_including_removing_and_finding(hooks: Hooks) -> None:
    hooks.include(hooks_with(nothing))
    assert "nothing" in hooks
    assert hooks["nothing"].phase == "before"
    assert hooks.remove("nothing").name == "nothing"
    with pytest.raises(KeyError, match="no hook 'nothing'"):
        hooks["nothing"]
    with pytest.raises(RegistrationError, match="itself"):
        hooks.include(hooks)


def test_policies_for_writes_that_go_around_hooks(hooks: Hooks) -> None:
    hook = hooks.add(nothing, "check", "save", bypass="refuse")
    assert (hook.bypass, hooks.bypass) == ("refuse", "warn")
    assert hooks.add(nothing, "after", "save", name="other").bypass is None
    assert Hooks(bypass="capture").bypass == "capture"


def test_an_unknown_policy(hooks: Hooks) -> None:
    with pytest.raises(
        UnknownPolicyError, match=r"hook 'nothing' \(check\).*'alow'\. Did you mean 'allow'\?.*'capture'"
    ):
        hooks.add(nothing, "check", "save", bypass="alow")
    with pytest.raises(UnknownPolicyError, match="rule book 'billing': there is no policy bypass='ignore'"):
        Hooks("billing", bypass="ignore")
    with pytest.raises(UnknownPolicyError, match=r"bypass=True\. Write one of 'capture', 'refuse', 'warn', 'allow'"):
        hooks.bypass = True  # type: ignore[assignment]
    assert (len(hooks), hooks.bypass) == (0, "warn")


def test_a_before_hook_cannot_be_served_by_capture(hooks: Hooks) -> None:
    with pytest.raises(RegistrationError, match="could not edit it any more"):
        hooks.add(nothing, "before", "save", bypass="capture")
    hooks.bypass = "capture"
    before, check = hooks.add(nothing, "before", "save"), hooks.add(nothing, "check", "save", name="c")
    assert (policy_of(before, hooks.bypass), policy_of(check, hooks.bypass)) == ("warn", "capture")


def test_included_hooks_keep_their_own_policy(hooks: Hooks) -> None:
    billing = Hooks("billing", bypass="refuse")
    billing.add(nothing, "check", "save", name="own", bypass="allow")
    billing.add(nothing, "check", "save", name="none")
    hooks.include(billing)
    assert policy_of(hooks["own"], hooks.bypass) == "allow"
    assert policy_of(hooks["none"], hooks.bypass) == "warn"
