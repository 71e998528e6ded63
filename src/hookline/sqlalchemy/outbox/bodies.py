"""A change as JSON, and a change again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from hookline.core.change import Change
from hookline.core.link import LinkChange
from hookline.core.step import Flow, StepChange
from hookline.errors import DeliveryError
from hookline.sqlalchemy.mapped import WRITTEN, MappedChange
from hookline.sqlalchemy.outbox.values import AS_THEY_ARE, CannotTravelError, arrived, plain, travelling, typed
from hookline.sqlalchemy.relations import RowEnd
from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.write import StatementWrite
from hookline.sqlalchemy.tables import class_name

if TYPE_CHECKING:
    from hookline.core.hook import Hook
    from hookline.core.registry import Hooks
    from hookline.sqlalchemy.concern import Schema
    from hookline.sqlalchemy.facts import Facts
    from hookline.sqlalchemy.host import SessionHost

Body = dict[str, Any]


class Writer:
    """Makes texts of changes.

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

    def _body(self, change: Change[Any]) -> _RowBody | Body:
        kind = self._kinds.get(change.model) or self._kind(change.model)
        depth, cause = change.depth or UNSET, UNSET if change.cause is None else change.cause.name
        if isinstance(change, (LinkChange, StepChange)):
            body: Body = {"event": change.event, "model": kind.name, "door": change.door, **_other(change)}
            return body | {name: one for name, one in (("depth", depth), ("cause", cause)) if one is not UNSET}
        event = change.event
        row = kind.values(change, "old" if event == "delete" else "new")
        key = row[kind.key[0]] if len(kind.key) == 1 else [row[place] for place in kind.key]
        old: Any = UNSET
        if event == "delete":
            old = kind.row(*row)
        elif event == "update":  # what did not change is in the new row
            before = kind.values(change, "old")
            old = {name: was for name, was, now in zip(kind.names, before, row, strict=True) if was != now}
        new = UNSET if event == "delete" else kind.row(*row)
        return _RowBody(event, kind.name, change.door, key, old, new, depth, cause)

    def _kind(self, model: type) -> _Kind:
        kind = self._kinds[model] = _Kind(self._schema.facts(model))
        return kind


class _RowBody(msgspec.Struct, omit_defaults=True):
    """What is told of a row; a struct, because making one JSON costs half of what a dict costs."""

    event: str
    model: str
    door: str
    key: Any
    old: Any = UNSET
    new: Any = UNSET
    depth: int | UnsetType = UNSET
    cause: str | UnsetType = UNSET


class _Kind:
    """How rows of one class are made JSON.

    Attributes:
        name: Of the class.
        names: Of the columns.
        key: Where the primary key is among these.
        row: Makes an object of a row's values.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.name, self.names = facts.model_name, facts.names
        self.key = tuple(map(self.names.index, facts.key_names))
        self.row = _object_of(self.names)
        self._take: Callable[[Any], tuple[Any, ...]]
        self._take = itemgetter(*self.names) if len(self.names) > 1 else lambda row: (row[self.names[0]],)

    def values(self, change: Change[Any], side: str) -> Sequence[Any]:
        """A whole row, as JSON has it.

        Raises:
            DeliveryError: A value cannot travel.
        """
        kept = change.kept(side) if isinstance(change, MappedChange) else getattr(change, side)
        try:
            values: Sequence[Any] = self._take(kept)
        except KeyError:
            row = getattr(change, side)
            values = [kept[name] if name in kept else row[name] for name in self.names]
        if AS_THEY_ARE.issuperset(map(type, values)):
            return values
        return [self._value(change, name, value) for name, value in zip(self.names, values, strict=True)]

    def _value(self, change: Change[Any], name: str, value: Any) -> Any:
        try:
            return travelling(self.facts.columns[name].type, value)
        except CannotTravelError as error:
            raise DeliveryError(
                f"{change!r} cannot be delivered: {self.facts.model.__name__}.{name} is {error} and has no place in "
                f"JSON. Give the column a TypeDecorator that makes a plain value of it."
            ) from None


@lru_cache(maxsize=1_024)
def _object_of(names: tuple[str, ...]) -> Callable[..., Any]:
    """Makes an object of these names, in JSON, of as many values."""
    fields = {f"field_{number}": name for number, name in enumerate(names)}  # a name need be no identifier
    try:
        return msgspec.defstruct("Row", [(field, Any) for field in fields], rename=fields)
    except ValueError:  # a name that JSON must escape
        return lambda *values: dict(zip(names, values, strict=True))


def _other(change: LinkChange | StepChange) -> Body:
    if isinstance(change, StepChange):
        return {"workflow": change.flow.name, "row": _end(change.row), "step": change.flow.to_data(change)}
    near, far = change.ends
    return {"relation": change.relation, "side": change.side, "near": _end(near), "far": _end(far)}


_AT_ONCE: Final = 200
"""Values made JSON at once: enough that each costs next to nothing, few enough to be let go of soon."""


def _lines(values: Iterable[Any]) -> Iterator[str]:
    encode = msgspec.json.Encoder().encode_lines
    values = iter(values)
    while some := list(islice(values, _AT_ONCE)):
        yield from encode(some).decode()[:-1].split("\n")


def _end(end: Any) -> Body:
    return {"model": class_name(end.model), "names": list(end.names), "values": plain(list(end.values))}


class Reader:
    """Makes changes of bodies, in the session in which a hook is going to run.

    Args:
        host: The session.
        hook: Whose delivery it is.
    """

    def __init__(self, host: SessionHost, hook: Hook) -> None:
        self._host, self._hook = host, hook
        self._write = StatementWrite(host, "delivery")

    def changes(self, body: bytes | str) -> Change[Any] | list[Change[Any]]:
        """What `Writer.json` was given.

        Raises:
            DeliveryError: Its class is not there any more.
        """
        made = msgspec.json.decode(body)
        return [self._change(one) for one in made] if isinstance(made, list) else self._change(made)

    def _change(self, body: Body) -> Change[Any]:
        make = self._link if "relation" in body else self._step if "workflow" in body else self._row
        change = make(body)
        change.door, change.depth = body["door"], body.get("depth", 0)
        change.cause = _find(self._host.attachment.book, body.get("cause"))
        return change

    def _row(self, body: Body) -> Change[Any]:
        facts = self._host.schema.facts(self._model(body["model"]))
        new = _arrived(facts, body.get("new", {}))
        old = _arrived(facts, body.get("old", {}))
        if body["event"] == "update":
            old = {**new, **old}
        change = StatementChange.known(body["event"], facts, self._write, old, new)
        change.stage = WRITTEN
        return change

    def _link(self, body: Body) -> Change[Any]:
        schema = self._host.schema
        subject = self._model(body["model"])
        schema.relations.learn((schema.facts(subject).mapper,))
        relation = next((one for one in schema.relations if self._is_meant(one, subject, body)), None)
        if relation is None:
            raise self._gone(f"the relation {subject.__name__}.{body['relation']}")
        near, far = (self._end(body[side]) for side in ("near", "far"))
        change = LinkChange(body["event"], relation, near, far, tx=self._write.tx)
        return change.seen_from(body["side"])

    def _step(self, body: Body) -> Change[Any]:
        flow: Flow | None = self._host.attachment.book.flows.get(body["workflow"])
        if flow is None:
            raise self._gone(f"the workflow {body['workflow']}")
        change = flow.from_data(body["event"], self._end(body["row"]), body["step"])
        change.tx = self._write.tx
        return change

    def _is_meant(self, relation: Any, subject: type, body: Body) -> bool:
        model = relation.near_model if body["side"] == "near" else relation.far_model
        return relation.name_from(body["side"]) == body["relation"] and issubclass(subject, model)

    def _end(self, body: Body) -> RowEnd:
        facts = self._host.schema.facts(self._model(body["model"]))
        return RowEnd(self._host, facts, tuple(body["names"]), None, tuple(typed(body["values"])))

    def _model(self, name: str) -> type:
        """A class by name; one that has moved to another module is found if the hook is about no other of its name."""
        named = self._host.schema.named
        known = named.get((name, self._hook))
        if known is None:
            known = named[name, self._hook] = self._find_model(name)
        return known

    def _find_model(self, name: str) -> type:
        classes = self._host.schema.tables.classes()
        if name in classes:
            return classes[name]
        alike = [model for known, model in classes.items() if known.partition(":")[2] == name.partition(":")[2]]
        targets = tuple(target for target in self._hook.targets if isinstance(target, type))
        meant = [model for model in alike if not targets or issubclass(model, targets)]
        if len(meant) == 1:
            return meant[0]
        raise self._gone(f"the class {name.replace(':', '.')}")

    def _gone(self, what: str) -> DeliveryError:
        return DeliveryError(
            f"A delivery of {self._hook} is about {what}, which this process does not know. "
            f"Import the module that defines it before the worker starts; if it is gone for good, cancel the delivery."
        )


def _arrived(facts: Facts, row: Body) -> Body:
    columns = facts.columns
    return {name: arrived(columns[name].type, value) for name, value in row.items() if name in columns}


def _find(book: Hooks, name: str | None) -> Hook | None:
    try:
        return None if name is None else book[name]
    except KeyError:  # it is not there any more
        return None
