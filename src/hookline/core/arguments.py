"""What a hook function asks for, read once from its signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from hookline.errors import UnknownArgumentError, near

if TYPE_CHECKING:
    from hookline.core.change import Change
    from hookline.core.transaction import Transaction

OF_ONE: Final = ("change", "entity", "old", "new", "event")
"""Asked for by hooks that run once per change."""

OF_ALL: Final = ("changes",)
"""Asked for by hooks that run once per round."""

OF_ANY: Final = ("tx", "session")
WORKFLOW_OBJECT: Final = "workflow_object"
"""The name by which callbacks that were written for django-river ask for the entity of a step."""

_MISSING: Final = object()
KNOWN: Final = (*OF_ONE, *OF_ALL, *OF_ANY)


class Scope(Protocol):
    """What one call of a hook can reach: an adapter brings it."""

    @property
    def tx(self) -> Transaction:
        """The transaction."""

    @property
    def values(self) -> Mapping[str, Any]:
        """What the context holds."""

    def session(self, asynchronous: bool) -> Any:
        """The session that the hook may use."""

    def entity(self, change: Change[Any], asynchronous: bool) -> Any:
        """The change's entity, as that session knows it; may be awaitable."""


class Arguments(NamedTuple):
    """The parameters of a function.

    Attributes:
        names: Those without a default, and those with one that the engine always provides.
        optional: Those with a default: filled if the context holds them.
        everything: Whether it takes ``**`` all of the context.
        by_name_only: Whether a parameter cannot be given by position.
        asynchronous: Whether calling it gives something to await.
    """

    names: tuple[str, ...]
    optional: tuple[str, ...]
    everything: bool
    asynchronous: bool
    by_name_only: bool = False

    @property
    def set_at_a_time(self) -> bool:
        """Whether it takes all changes of a round in one call."""
        return "changes" in self.names

    @property
    def derived(self) -> tuple[str, ...] | None:
        """Its names, if the change alone provides them all."""
        if self.optional or self.everything or not set(self.names) <= {"entity", "old", "new", "event"}:
            return None
        return self.names

    @property
    def direct(self) -> bool:
        """Whether it is called with the change or the changes, by position, and nothing else."""
        return (
            not self.by_name_only
            and self.names in (("change",), ("changes",))
            and not self.optional
            and not self.everything
        )

    def fill(self, whose: str, scope: Scope, subject: Any = None) -> dict[str, Any]:
        """The keyword arguments for one call.

        Args:
            whose: The caller's name for errors.
            scope: What provides session and context.
            subject: The change, or the list of changes.

        Raises:
            UnknownArgumentError: Nothing provides a name that has no default.
        """
        values = scope.values
        filled: dict[str, Any] = dict(values) if self.everything else {}
        for name in self.names:
            if name in ("change", "changes"):
                filled[name] = subject
            elif name == "entity":
                filled[name] = scope.entity(subject, self.asynchronous)
            elif name in OF_ONE:
                filled[name] = getattr(subject, name)
            elif name == "tx":
                filled[name] = scope.tx
            elif name == "session":
                filled[name] = scope.session(self.asynchronous)
            elif name in values:
                filled[name] = values[name]
            elif (offered := _offered(scope, subject, name, self.asynchronous)) is not _MISSING:
                filled[name] = offered
            else:
                raise UnknownArgumentError(
                    f"{whose} asks for {name!r}, and nothing provides it. "
                    f"It can ask for {', '.join((*KNOWN, *values))}; "
                    f"give it with `with hooks.context({name}=...):`, or give the parameter a default."
                )
        for name in self.optional:
            if name in values:
                filled[name] = values[name]
            elif (offered := _offered(scope, subject, name, self.asynchronous)) is not _MISSING:
                filled[name] = offered
        return filled


def _offered(scope: Scope, subject: Any, name: str, asynchronous: bool) -> Any:
    """What a change itself offers by a name of its own."""
    offers = getattr(subject, "offers", None)
    if not offers:
        return _MISSING
    if name == WORKFLOW_OBJECT:
        return scope.entity(subject, asynchronous)
    return offers.get(name, _MISSING)


def read(function: Callable[..., Any], whose: str, known: tuple[str, ...] = KNOWN) -> Arguments:
    """Read a function's signature.

    Args:
        function: A function, method, partial or callable object, sync or async.
        whose: What it is, for errors: ``"hook 'tidy' (before)"``.
        known: The names that will be provided.

    Raises:
        UnknownArgumentError: A parameter can never be filled.
    """
    import inspect

    if not callable(function):
        raise UnknownArgumentError(f"{whose} is not callable: {function!r}. Give a function that takes `change`.")
    names: list[str] = []
    optional: list[str] = []
    everything = by_name_only = False
    for parameter in inspect.signature(function).parameters.values():
        name, kind = parameter.name, parameter.kind
        if kind is parameter.VAR_KEYWORD:
            everything = True
            continue
        if kind is parameter.VAR_POSITIONAL or kind is parameter.POSITIONAL_ONLY:
            star = "*" if kind is parameter.VAR_POSITIONAL else ""
            raise UnknownArgumentError(
                f"{whose} has the parameter `{star}{name}`, but arguments are given by name. "
                f"Name what it needs: {', '.join(known)}."
            )
        by_name_only = by_name_only or kind is parameter.KEYWORD_ONLY
        has_default = parameter.default is not parameter.empty
        if name in known:
            names.append(name)
        elif name in KNOWN and not has_default:
            raise UnknownArgumentError(
                f"{whose} asks for {name!r}, which is not there. It can ask for {', '.join(known)}."
            )
        elif has_default:
            optional.append(name)
        else:
            meant = near(name, known, cutoff=0.75)
            if "Did you mean" in meant:
                raise UnknownArgumentError(f"{whose} asks for {name!r}.{meant}")
            names.append(name)
    if "changes" in names:
        clash = [name for name in names if name in OF_ONE]
        if clash:
            raise UnknownArgumentError(
                f"{whose} asks for 'changes' and for {clash[0]!r}. One that takes `changes` runs once for all of them: "
                f"use `for change in changes: change.{'entity' if clash[0] == 'change' else clash[0]}`, "
                f"or take `change` to run once per change."
            )
    return Arguments(tuple(names), tuple(optional), everything, _is_async(function), by_name_only)


def _is_async(function: Callable[..., Any]) -> bool:
    import inspect

    while hasattr(function, "func"):  # functools.partial
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object whose __call__ is async
    )
