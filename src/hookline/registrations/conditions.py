"""Conditions that are data."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hookline import Condition, approved_by, becomes, changed, enters, from_user, leaves, was
from hookline.errors import ConditionDataError, DuplicateHookError, TargetError, near

if TYPE_CHECKING:
    from hookline.core.registry import Adapter

Make = Callable[[Any, "About"], Condition]
M = TypeVar("M", bound=Make)

_MAKERS: Final[dict[str, Make]] = {}


class About:
    """What a condition that is data is about: it reads the fields and values in it.

    Attributes:
        target: The class; or the relation, of a registration for links.
    """

    def __init__(self, adapter: Adapter, target: Any) -> None:
        self._adapter, self.target = adapter, target

    def condition(self, data: Any) -> Condition:
        """The condition that some data means.

        Raises:
            ConditionDataError: It means none.
        """
        if not isinstance(data, Mapping) or len(data) != 1:
            raise ConditionDataError(
                f"A condition is a dict of one name and what belongs to it, not {data!r}. "
                f"Write {{'changed': ['status']}}, or {{'all': [.., ..]}} for several."
            )
        ((name, given),) = data.items()
        make = _MAKERS.get(name)
        if make is None:
            raise ConditionDataError(f"There is no condition {name!r} for data.{near(str(name), _MAKERS)}")
        return make(given, self)

    def value(self, field: str, data: Any) -> Any:
        """A field's value from JSON, of the Python type of the field.

        Raises:
            ConditionDataError: It is none of this field, or the condition is about links, which have no fields.
        """
        if not isinstance(self.target, type):
            raise ConditionDataError(
                f"A registration for links cannot ask for the field {field!r}: links have no fields. "
                f"What it can have is {{'from_user': true}}, and 'all', 'any' and 'not' of it."
            )
        try:
            return self._adapter.from_data(self.target, field, data)
        except TargetError as error:
            raise ConditionDataError(str(error.args[0])) from error

    def state(self, data: Any) -> Any:
        """A state of the workflow that the registration is about, from JSON.

        Raises:
            ConditionDataError: It is about no field, or the field has no such value.
        """
        if isinstance(self.target, type):
            raise ConditionDataError(
                f"'leaves' and 'enters' are for steps in a workflow: register for its field, such as Shipping.status, "
                f"not for {self.target!r}."
            )
        try:
            return self._adapter.from_data(*self._adapter.field_of(self.target), data)
        except TargetError as error:
            raise ConditionDataError(str(error.args[0])) from error


def data_condition(name: str) -> Callable[[M], M]:
    """Give data a name for a condition of yours.

    Args:
        name: Its name in the data: ``"enters"`` for ``{"enters": "arrived"}``.

    Returns:
        A decorator for the function that makes the condition. It takes what stands beside the name, and an `About`,
        which knows the model; if it can make nothing of it, it raises `ConditionDataError`.

    Raises:
        DuplicateHookError: Another one has this name.

    Example:
        >>> from hookline import Condition, ConditionDataError, changed
        >>> @data_condition("touched")
        ... def touched(given: object, about: About) -> Condition:
        ...     if not isinstance(given, str):
        ...         raise ConditionDataError(f"'touched' takes the name of a field, not {given!r}.")
        ...     return changed(given)
    """

    def register(make: M) -> M:
        known = _MAKERS.setdefault(name, make)
        if known is not make and (known.__module__, known.__qualname__) != (make.__module__, make.__qualname__):
            raise DuplicateHookError(f"There is a condition {name!r} for data already: {known!r}. Choose another name.")
        _MAKERS[name] = make
        return make

    return register


def as_json(when: Any) -> str:
    """A condition as text; dates, enums and the like as their names or texts, which the field's type reads again.

    Raises:
        ConditionDataError: Something in it is no data.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return value.name
        if isinstance(value, (dt.date, dt.time)):
            return value.isoformat()
        if isinstance(value, (uuid.UUID, decimal.Decimal)):
            return str(value)
        hint = " Conditions of code, such as changed('status'), are for hooks of code." if callable(value) else ""
        raise ConditionDataError(
            f"{value!r} in when= is no data. Write {{'changed': ['status']}}, {{'becomes': {{'status': 'paid'}}}} "
            f"or the like.{hint}"
        )

    return json.dumps(when, default=plain, sort_keys=True)


@data_condition("changed")
def _changed(given: Any, about: About) -> Condition:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConditionDataError(f"'changed' takes a list of fields, {{'changed': ['status']}}, not {given!r}.")
    for name in names:
        about.value(name, None)
    found = changed(names[0])
    for name in names[1:]:
        found |= changed(name)
    return found


@data_condition("was")
def _was(given: Any, about: About) -> Condition:
    return _of_each("was", was, given, about)


@data_condition("becomes")
def _becomes(given: Any, about: About) -> Condition:
    return _of_each("becomes", becomes, given, about)


def _of_each(name: str, make: Callable[[str, Any], Condition], given: Any, about: About) -> Condition:
    if not isinstance(given, Mapping) or not given:
        raise ConditionDataError(
            f"{name!r} takes fields with their values, {{{name!r}: {{'status': 'paid'}}}}, not {given!r}."
        )
    first, *others = (make(field, about.value(field, data)) for field, data in given.items())
    for other in others:
        first &= other
    return first


@data_condition("from_user")
def _from_user(given: Any, _about: About) -> Condition:
    if not isinstance(given, bool):
        raise ConditionDataError(f"'from_user' takes true or false, {{'from_user': true}}, not {given!r}.")
    return from_user() if given else ~from_user()


@data_condition("leaves")
def _leaves(given: Any, about: About) -> Condition:
    return leaves(*(about.state(one) for one in _some("leaves", given)))


@data_condition("enters")
def _enters(given: Any, about: About) -> Condition:
    return enters(*(about.state(one) for one in _some("enters", given)))


@data_condition("approved_by")
def _approved_by(given: Any, _about: About) -> Condition:
    return approved_by(*_some("approved_by", given))


def _some(name: str, given: Any) -> list[Any]:
    """One value, or a list of them."""
    some = given if isinstance(given, list) else [given]
    if not some or any(one is None or isinstance(one, (dict, list)) for one in some):
        raise ConditionDataError(f"{name!r} takes a value, or a list of them, not {given!r}.")
    return some


@data_condition("all")
def _all(given: Any, about: About) -> Condition:
    first, *others = _several("all", given, about)
    for other in others:
        first &= other
    return first


@data_condition("any")
def _any(given: Any, about: About) -> Condition:
    first, *others = _several("any", given, about)
    for other in others:
        first |= other
    return first


def _several(name: str, given: Any, about: About) -> list[Condition]:
    if not isinstance(given, list) or not given:
        raise ConditionDataError(f"{name!r} takes a list of conditions, {{{name!r}: [.., ..]}}, not {given!r}.")
    return [about.condition(one) for one in given]


@data_condition("not")
def _not(given: Any, about: About) -> Condition:
    return ~about.condition(given)
