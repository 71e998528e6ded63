"""Finding the rule book that a command is about: ``shop.app:hooks``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from hookline import Hooks
from hookline.errors import UsageError, near

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:HOOKS",
        help="The rule book, as in shop.app:hooks; the module must attach it to sessions. The current folder is "
        "searched first. Without :HOOKS, the only one of the module.",
        show_default=False,
    ),
]
Of = Annotated[
    str | None,
    typer.Option(
        "--of",
        metavar="MODULE:ATTACHMENT",
        help="What attach() returned, if the rule book is attached to several things.",
    ),
]


def rule_book(target: str) -> Hooks:
    """Import a rule book.

    Args:
        target: ``module:attribute``, or a module that has only one.

    Raises:
        UsageError: There is no such module or attribute, or it is no rule book; it says what there is.
    """
    name, _, attribute = target.partition(":")
    module = _imported(name)
    there = [known for known, value in vars(module).items() if isinstance(value, Hooks)]
    if not attribute:
        if len(there) != 1:
            raise UsageError(f"Say which rule book of {name!r} is meant: {_as_targets(name, there)}.")
        attribute = there[0]
    found = _attribute(module, attribute, there)
    if not isinstance(found, Hooks):
        raise UsageError(f"{target} is {found!r}, which is not a rule book. There is: {_as_targets(name, there)}.")
    return found


def attachment(given: str | None) -> Any:
    """Import what ``--of`` names; None if it was not given.

    Raises:
        UsageError: There is no such module or attribute, or it is not what attach() returned.
    """
    if given is None:
        return None
    name, _, attribute = given.partition(":")
    module = _imported(name)
    there = [known for known, value in vars(module).items() if _is_attachment(value)]
    found = _attribute(module, attribute, there)
    if not _is_attachment(found):
        raise UsageError(f"--of takes what attach() returned, and {given} is {found!r}.")
    return found


def _is_attachment(value: object) -> bool:
    return not isinstance(value, type) and hasattr(value, "store") and hasattr(value, "detach")


def _imported(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if not all(part.isidentifier() for part in name.split(".")):
        meant = name.removesuffix(".py").strip("./").replace("/", ".")
        raise UsageError(f"{name!r} is not the name of a module. Write it as in an import: {meant}:hooks.")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the application's own import is broken, and its traceback says where
        raise UsageError(
            f"There is no module {name!r}: no module {error.name!r} in {here}, nor where Python looks otherwise."
        ) from None


def _attribute(module: ModuleType, path: str, there: list[str]) -> object:
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UsageError(f"Module {module.__name__!r} has no {path!r}.{near(path, there)}") from None
    return found


def _as_targets(module: str, names: list[str]) -> str:
    return " or ".join(f"{module}:{name}" for name in names) or "none in that module"
