"""Mapped classes and their relations by names that are the same in all processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.attributes import QueryableAttribute

from hookline.errors import TargetError
from hookline.sqlalchemy.tables import class_name


def name_of(target: object) -> str | None:
    """The name of a mapped class with its module; of an attribute, that of its class and the attribute's name.

    Example:
        >>> name_of(Company), name_of(Company.name)
        ('tests.sqlalchemy.harness:Company', 'tests.sqlalchemy.harness:Company.name')
    """
    if isinstance(target, type):
        mapped = isinstance(inspect(target, raiseerr=False), Mapper)
        return class_name(target) if mapped else None
    if isinstance(target, QueryableAttribute):
        return f"{name_of(target.class_)}.{target.key}"
    return None


def named(name: str, models: Iterable[type]) -> Any:
    """What a name means: a class, or an attribute of one; None if nothing.

    A class that has moved to another module is found as long as no other one has its name.

    Args:
        name: As `name_of` has it, or the end of that: ``Company``, ``shop.Company``, ``Company.boss``.
        models: All mapped classes.

    Raises:
        TargetError: It may mean several classes.
    """
    every = list(models)
    model = _class_named(name, every)
    if model is not None:
        return model
    path, _, attribute = name.rpartition(".")
    owner = _class_named(path, every) if path else None
    return None if owner is None else getattr(owner, attribute, None)


def _class_named(name: str, models: list[type]) -> type | None:
    paths = {model: class_name(model).replace(":", ".") for model in models}
    name = name.replace(":", ".")
    last = name.rpartition(".")[2]
    for alike in (
        [model for model, path in paths.items() if path == name],
        [model for model, path in paths.items() if path.endswith(f".{name}")],
        [model for model in models if model.__name__ == last],
    ):
        if len(alike) > 1:
            several = " and ".join(sorted(paths[model] for model in alike))
            raise TargetError(f"There are several classes {name!r}: {several}. Name one by its whole path.")
        if alike:
            return alike[0]
    return None
