"""A change as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from hookline.core.change import Change
from hookline.core.link import LinkChange
from hookline.core.step import StepChange
from hookline.errors import DeliveryError
from hookline.sqlalchemy.mapped import MappedChange
from hookline.sqlalchemy.outbox.values import AS_THEY_ARE, CannotTravelError, plain, travelling
from hookline.sqlalchemy.tables import class_name

if TYPE_CHECKING:
    from hookline.core.hook import Hook
    from hookline.sqlalchemy.concern import Schema
    from hookline.sqlalchemy.facts import Facts


class Writer:
    """Makes texts of changes; what it must know of a class it finds out once.

    Args:
        schema: The mapped classes.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._kinds: dict[type, _Kind] = {}

    def bodies(self, changes: Iterable[Change[Any]]) -> Iterator[str]:
        """Each change as JSON: a line, as JSON has no line breaks within.

        Raises:
            DeliveryError: A value cannot travel.
        """
        return _lines(map(self._body, changes))

    def lanes(self, hook: Hook, changes: Sequence[Change[Any]]) -> list[str]:
        """What deliveries of one hook are kept in order by, for each change; lines likewise.

        Raises:
            DeliveryError: ``key=`` gave something that cannot travel.
        """
        assert hook.terms is not None
        by = hook.terms.key
        if by is None and hook.arguments.set_at_a_time:
            return [""] * len(changes)
        keys: list[Any] = []
        for change in changes:
            try:
                keys.append(plain(by(change)) if by is not None else self._key(change))
            except CannotTravelError as error:
                raise DeliveryError(
                    f"{hook}: the key of {change!r} cannot be kept: {error} has no place in JSON."
                ) from None
        return list(_lines(keys))

    def _key(self, change: Change[Any]) -> list[Any]:
        if isinstance(change, LinkChange):
            near, far = change.ends
            return [change.kind.name_from("near"), plain(near.identity[1]), plain(far.identity[1])]  # type: ignore[index]
        about: Any = change.about
        root, values = about
        return [root.__name__, [one if type(one) in AS_THEY_ARE else plain(one) for one in values]]

    def _body(self, change: Change[Any]) -> _Body:
        if isinstance(change, LinkChange):
            body = _of_link(change)
        elif isinstance(change, StepChange):
            body = _of_step(change)
        else:
            body = (self._kinds.get(change.model) or self._kind(change.model)).body(change)
        if change.depth:
            body.depth = change.depth
        if change.cause is not None:
            body.cause = change.cause.name
        return body

    def _kind(self, model: type) -> _Kind:
        kind = self._kinds[model] = _Kind(self._schema.facts(model))
        return kind


class _Body(msgspec.Struct, omit_defaults=True):
    """What is told of a change: a struct, because making one JSON costs half of what a dict costs.

    Of a row it has ``key``, ``old`` and ``new``, ``old`` of an update being what was different; of a link it has the
    four from ``relation`` on, and of a step of a workflow the three after them.
    """

    event: str
    model: str
    door: str
    key: Any = UNSET
    old: Any = UNSET
    new: Any = UNSET
    depth: Any = UNSET
    cause: Any = UNSET
    relation: Any = UNSET
    side: Any = UNSET
    near: Any = UNSET
    far: Any = UNSET
    workflow: Any = UNSET
    row: Any = UNSET
    step: Any = UNSET


def _of_link(change: LinkChange) -> _Body:
    head = change.event, class_name(change.model), change.door
    near, far = map(_end, change.ends)
    return _Body(*head, relation=change.relation, side=change.side, near=near, far=far)


def _of_step(change: StepChange) -> _Body:
    head = change.event, class_name(change.model), change.door
    return _Body(*head, workflow=change.flow.name, row=_end(change.row), step=change.flow.to_data(change))


def _end(end: Any) -> dict[str, Any]:
    return {"model": class_name(end.model), "names": list(end.names), "values": plain(list(end.values))}


class _Kind:
    """How rows of one class are made JSON."""

    def __init__(self, facts: Facts) -> None:
        self._model, self._columns, self._names = class_name(facts.model), facts.columns, facts.names
        self._key = [facts.names.index(name) for name in facts.key_names]
        self._object = _object_of(facts.names)
        self._take: Callable[[Any], Sequence[Any]] = itemgetter(*facts.names)
        if len(facts.names) == 1:
            self._take = lambda row: [row[facts.names[0]]]

    def body(self, change: Change[Any]) -> _Body:
        """What is told of a row.

        Raises:
            DeliveryError: A value cannot travel.
        """
        event = change.event
        row = self._values(change, "old" if event == "delete" else "new")
        key = row[self._key[0]] if len(self._key) == 1 else [row[place] for place in self._key]
        old: Any = UNSET
        if event == "update":
            before = self._values(change, "old")
            old = {name: was for name, was, now in zip(self._names, before, row, strict=True) if was != now}
        elif event == "delete":
            return _Body(event, self._model, change.door, key, self._object(*row))
        return _Body(event, self._model, change.door, key, old, self._object(*row))

    def _values(self, change: Change[Any], side: str) -> Sequence[Any]:
        kept = change.kept(side) if isinstance(change, MappedChange) else getattr(change, side)
        try:
            values = self._take(kept)
        except KeyError:
            row = getattr(change, side)
            values = [kept[name] if name in kept else row[name] for name in self._names]
        if AS_THEY_ARE.issuperset(map(type, values)):
            return values
        return [self._value(change, name, value) for name, value in zip(self._names, values, strict=True)]

    def _value(self, change: Change[Any], name: str, value: Any) -> Any:
        try:
            return travelling(self._columns[name].type, value)
        except CannotTravelError as error:
            raise DeliveryError(
                f"{change!r} cannot be delivered: {change.model.__name__}.{name} is {error} and has no place in JSON. "
                f"Give the column a TypeDecorator that makes a plain value of it."
            ) from None


@lru_cache(maxsize=1_024)
def _object_of(names: tuple[str, ...]) -> Callable[..., Any]:
    """Makes an object of these names, in JSON, of as many values."""
    fields = {f"field_{number}": name for number, name in enumerate(names)}  # a name need be no identifier
    try:
        return msgspec.defstruct("Row", [(field, Any) for field in fields], rename=fields)
    except ValueError:  # a name that JSON must escape
        return lambda *values: dict(zip(names, values, strict=True))


_AT_ONCE: Final = 200
"""Values made JSON at once: enough that each costs next to nothing, few enough to be let go of soon."""


def _lines(values: Iterable[Any]) -> Iterator[str]:
    encode = msgspec.json.Encoder().encode_lines
    values = iter(values)
    while some := list(islice(values, _AT_ONCE)):
        yield from encode(some).decode()[:-1].split("\n")
