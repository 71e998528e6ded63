"""When a hook runs: questions about a change, composed with ``&``, ``|`` and ``~``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from hookline.core.change import Change
from hookline.core.link import LinkChange
from hookline.core.step import StepChange
from hookline.errors import RegistrationError

_UNSET: Final = object()


class Condition:
    """A question about a change that is answered with yes or no.

    Subclass it, or use any function of a change instead: ``when=lambda change: change.depth == 0``.
    """

    def __call__(self, change: Change[Any]) -> bool:
        """Whether it holds for this change."""
        raise NotImplementedError

    def __and__(self, other: Condition | Callable[[Change[Any]], Any]) -> Condition:
        return _All((self, condition(other)))

    def __rand__(self, other: Callable[[Change[Any]], Any]) -> Condition:
        return _All((condition(other), self))

    def __or__(self, other: Condition | Callable[[Change[Any]], Any]) -> Condition:
        return _Any((self, condition(other)))

    def __ror__(self, other: Callable[[Change[Any]], Any]) -> Condition:
        return _Any((condition(other), self))

    def __invert__(self) -> Condition:
        return _Not(self)

    def __bool__(self) -> bool:
        raise RegistrationError(
            f"A condition has no truth of its own: {self}. Write `a & b`, `a | b` or `~a`, not `and`, `or`, `not`."
        )

    def names(self) -> Iterator[str]:
        """The fields that it looks at, to be checked against the model."""
        return iter(())

    def needs(self) -> frozenset[str] | None:
        """Fields of which at least one must differ in an update for it to hold; None if it cannot be said."""
        return None

    def parts(self) -> tuple[Condition, ...]:
        """What it is composed of."""
        return ()

    def seen(self, change: Change[Any]) -> str:
        """The values that decide, for `Hooks.explain`; empty if there is nothing to say."""
        return ""


def condition(given: object) -> Condition:
    """A condition, or any function of a change as one.

    Raises:
        RegistrationError: It is neither.
    """
    if isinstance(given, Condition):
        return given
    if callable(given) and not isinstance(given, type):
        return _Function(given)
    raise RegistrationError(
        f"when= takes a condition or a function of a change, not {given!r}. "
        f"Write when=changed('age') or when=lambda change: change.new['age'] > 17."
    )


class _Function(Condition):
    def __init__(self, function: Callable[[Change[Any]], Any]) -> None:
        self.function = function

    def __call__(self, change: Change[Any]) -> bool:
        return bool(self.function(change))

    def __str__(self) -> str:
        return getattr(self.function, "__qualname__", repr(self.function))


class _Composed(Condition):
    word = ""

    def __init__(self, parts: tuple[Condition, ...]) -> None:
        flat: list[Condition] = []
        for part in parts:
            flat.extend(part.parts() if type(part) is type(self) else (part,))
        self._parts = tuple(flat)

    def parts(self) -> tuple[Condition, ...]:
        return self._parts

    def names(self) -> Iterator[str]:
        for part in self._parts:
            yield from part.names()

    def __str__(self) -> str:
        return f" {self.word} ".join(f"({part})" if isinstance(part, _Composed) else str(part) for part in self._parts)


class _All(_Composed):
    word = "&"

    def needs(self) -> frozenset[str] | None:
        return next((needs for part in self._parts if (needs := part.needs()) is not None), None)

    def __call__(self, change: Change[Any]) -> bool:
        return all(part(change) for part in self._parts)


class _Any(_Composed):
    word = "|"

    def needs(self) -> frozenset[str] | None:
        each = [part.needs() for part in self._parts]
        known = [needs for needs in each if needs is not None]
        return frozenset().union(*known) if len(known) == len(each) else None

    def __call__(self, change: Change[Any]) -> bool:
        return any(part(change) for part in self._parts)


class _Not(Condition):
    def __init__(self, inner: Condition) -> None:
        self.inner = inner

    def __call__(self, change: Change[Any]) -> bool:
        return not self.inner(change)

    def __invert__(self) -> Condition:
        return self.inner

    def names(self) -> Iterator[str]:
        return self.inner.names()

    def parts(self) -> tuple[Condition, ...]:
        return (self.inner,)

    def __str__(self) -> str:
        return f"~({self.inner})" if isinstance(self.inner, _Composed) else f"~{self.inner}"


class _Field(Condition):
    """A condition on one field."""

    def __init__(self, field: str) -> None:
        self.field = field

    def names(self) -> Iterator[str]:
        yield self.field

    def seen(self, change: Change[Any]) -> str:
        old, new = change.old, change.new
        was = repr(old[self.field]) if self.field in old else "(no row)" if not old else "?"
        now = repr(new[self.field]) if self.field in new else "(no row)" if not new else "?"
        return f"{self.field}: {was} -> {now}"


class _Changed(Condition):
    def __init__(self, fields: tuple[str, ...]) -> None:
        self.fields = fields

    def __call__(self, change: Change[Any]) -> bool:
        return any(change.differs(name) for name in self.fields)

    def names(self) -> Iterator[str]:
        return iter(self.fields)

    def needs(self) -> frozenset[str] | None:
        return frozenset(self.fields)

    def seen(self, change: Change[Any]) -> str:
        return ", ".join(_Field(name).seen(change) for name in self.fields)

    def __str__(self) -> str:
        return f"changed({', '.join(map(repr, self.fields))})"


class _Went(_Field):
    def __init__(self, field: str, old: Any, new: Any) -> None:
        super().__init__(field)
        self.old, self.new = old, new

    def __call__(self, change: Change[Any]) -> bool:
        return (
            change.differs(self.field)
            and (self.old is _UNSET or _value(change.old, self.field) == self.old)
            and (self.new is _UNSET or _value(change.new, self.field) == self.new)
        )

    def needs(self) -> frozenset[str] | None:
        return frozenset((self.field,))

    def __str__(self) -> str:
        if self.old is _UNSET:
            return f"becomes({self.field!r}, {self.new!r})"
        return f"changed({self.field!r}, {self.old!r}, {self.new!r})"


class _Was(_Field):
    def __init__(self, field: str, value: Any) -> None:
        super().__init__(field)
        self.value = value

    def __call__(self, change: Change[Any]) -> bool:
        return bool(change.old) and _value(change.old, self.field) == self.value

    def __str__(self) -> str:
        return f"was({self.field!r}, {self.value!r})"


class _FromUser(Condition):
    def __call__(self, change: Change[Any]) -> bool:
        return change.depth == 0

    def seen(self, change: Change[Any]) -> str:
        return f"cause: {change.cause.name if change.cause else 'a hook before it' if change.depth else 'the user'}"

    def __str__(self) -> str:
        return "from_user()"


class _EndIs(Condition):
    def __init__(self, end: str, classes: tuple[type, ...]) -> None:
        self.end, self.classes = end, classes

    def __call__(self, change: Change[Any]) -> bool:
        return isinstance(change, LinkChange) and isinstance(getattr(change, self.end), self.classes)

    def seen(self, change: Change[Any]) -> str:
        if not isinstance(change, LinkChange):
            return "not a link"
        return f"{self.end}: {type(getattr(change, self.end)).__name__}"

    def __str__(self) -> str:
        return f"{self.end}_is({', '.join(c.__name__ for c in self.classes)})"


class _Step(Condition):
    """A condition on a step of a workflow."""

    attribute = ""

    def __init__(self, wanted: tuple[Any, ...]) -> None:
        self.wanted = wanted

    def __call__(self, change: Change[Any]) -> bool:
        return isinstance(change, StepChange) and getattr(change, self.attribute) in self.wanted

    def seen(self, change: Change[Any]) -> str:
        if not isinstance(change, StepChange):
            return "no step of a workflow"
        return f"{self.attribute}: {getattr(change, self.attribute)!r}"


class _Leaves(_Step):
    attribute = "source"

    def __str__(self) -> str:
        return f"leaves({', '.join(map(repr, self.wanted))})"


class _Enters(_Step):
    attribute = "destination"

    def __str__(self) -> str:
        return f"enters({', '.join(map(repr, self.wanted))})"


class _ApprovedBy(_Step):
    attribute = "by"

    def __str__(self) -> str:
        return f"approved_by({', '.join(map(repr, self.wanted))})"


def _value(row: Any, name: str) -> Any:
    return row[name] if name in row else _UNSET  # noqa: SIM401 - a row's get() takes KeyError alone for absence


def changed(*fields: Any) -> Condition:
    """At least one of these fields differs; or, with exactly three arguments, one went from a value to another.

    An insert changes every field that is not None.

    Args:
        *fields: Field names, ``changed("name", "age")``; or a field, its old and its new value,
            ``changed("status", "draft", "published")``. For three field names write
            ``changed("a", "b") | changed("c")``.

    Example:
        >>> from hookline.core.change import ValueChange
        >>> move = ValueChange("update", dict, old={"status": "draft"}, new={"status": "published"})
        >>> changed("status")(move), changed("status", "draft", "archived")(move)
        (True, False)
    """
    if len(fields) == 3:
        return _Went(_name(fields[0]), fields[1], fields[2])
    if not fields:
        raise RegistrationError("changed() needs a field: changed('age').")
    return _Changed(tuple(_name(name) for name in fields))


def was(field: str, value: Any) -> Condition:
    """The old value is this one; never so for an insert."""
    return _Was(_name(field), value)


def becomes(field: str, value: Any) -> Condition:
    """The field differs, and its new value is this one."""
    return _Went(_name(field), _UNSET, value)


def from_user() -> Condition:
    """The write was not caused by a hook."""
    return _FromUser()


def subject_is(*classes: type) -> Condition:
    """The subject of the link is an instance of one of these classes."""
    return _EndIs("subject", classes)


def object_is(*classes: type) -> Condition:
    """The object of the link is an instance of one of these classes."""
    return _EndIs("object", classes)


def leaves(*states: Any) -> Condition:
    """The step begins in one of these states of its workflow.

    Example:
        >>> print(leaves("draft") & enters("sent", "lost"))
        leaves('draft') & enters('sent', 'lost')
    """
    return _Leaves(_some("leaves", states))


def enters(*states: Any) -> Condition:
    """The step leads to one of these states of its workflow; an approval, if its transition does."""
    return _Enters(_some("enters", states))


def approved_by(*users: Any) -> Condition:
    """The approval, or the last one of the transition, is given by one of these users: objects with an id, or ids."""
    return _ApprovedBy(tuple(str(getattr(user, "id", user)) for user in _some("approved_by", users)))


def _some(name: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
    if not given:
        raise RegistrationError(f"{name}() needs at least one: {name}({'user' if name == 'approved_by' else 'state'}).")
    return given


def _name(given: Any) -> str:
    if isinstance(given, str):
        return given
    key = getattr(given, "key", None)
    if isinstance(key, str):
        return key
    raise RegistrationError(f"A field is named by a string, not by {given!r}: changed('age').")
