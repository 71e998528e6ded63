"""What is public is what `__all__` says, can be imported, and is in the reference. No more, no less."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from types import ModuleType

import pytest

from .repository import DOCS

FRONT_DOORS = [
    "hookline",
    "hookline.sqlalchemy",
    "hookline.durable",
    "hookline.registrations",
    "hookline.workflow",
    "hookline.http",
]
DIRECTIVE = re.compile(r"^::: (?P<name>[\w.]+)", re.MULTILINE)


def documented() -> list[str]:
    """The names that the reference has an entry for."""
    return [
        name
        for page in sorted((DOCS / "reference").rglob("*.md"))
        for name in DIRECTIVE.findall(page.read_text("utf-8"))
    ]


def public_names(module: ModuleType) -> set[str]:
    """What one sees in a module: not its submodules, not its private names, not what it borrows."""
    submodules = {found.name for found in pkgutil.iter_modules(module.__path__)}
    shown = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {
        name
        for name, value in shown.items()
        if name not in submodules and not inspect.ismodule(value) and name != "annotations"
    }


@pytest.mark.parametrize("door", FRONT_DOORS)
def test_all_is_what_can_be_seen(door: str) -> None:
    module = importlib.import_module(door)
    assert sorted(set(module.__all__)) == sorted(module.__all__), "a name is there twice"
    assert set(module.__all__) - {"__version__"} == public_names(module)


@pytest.mark.parametrize("door", FRONT_DOORS)
def test_all_is_what_the_reference_documents(door: str) -> None:
    module = importlib.import_module(door)
    entries = {name.rpartition(".")[2] for name in documented() if name.rpartition(".")[0] == door}
    assert set(module.__all__) - {"__version__"} == entries


def test_each_entry_of_the_reference_exists_once() -> None:
    names = documented()
    assert sorted(set(names)) == sorted(names)
    for name in names:
        door, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(door), attribute), name


@pytest.mark.parametrize("door", FRONT_DOORS)
def test_each_public_thing_is_explained(door: str) -> None:
    module = importlib.import_module(door)
    things = {name: getattr(module, name) for name in module.__all__}
    silent = [
        name
        for name, thing in things.items()
        if (inspect.isclass(thing) or inspect.isroutine(thing)) and not inspect.cleandoc(thing.__doc__ or "")
    ]
    assert silent == []


def test_every_error_is_at_the_front_door() -> None:
    import hookline
    from hookline import errors

    trees = errors.HooklineError, errors.HooklineWarning
    there = {name for name, thing in vars(errors).items() if inspect.isclass(thing) and issubclass(thing, trees)}
    assert there <= set(hookline.__all__)
