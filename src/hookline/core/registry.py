"""The rule book of an application."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from threading import RLock
from types import FunctionType
from typing import Any, Final, Protocol, TypeVar, overload

from hookline.core.arguments import read
from hookline.core.bypass import own_policy, policy_named
from hookline.core.callbacks import Callbacks
from hookline.core.change import Change, ValueChange
from hookline.core.conditions import condition
from hookline.core.control import Surroundings
from hookline.core.delivery import Sink, Terms, terms
from hookline.core.events import COMMIT_PHASES, LINK_EVENTS, PHASES, STEP_EVENTS, events_named, phase_named
from hookline.core.explain import Explanation, explain
from hookline.core.hook import Hook
from hookline.core.link import End, Relation
from hookline.core.order import in_order
from hookline.core.plan import Plan
from hookline.core.registered import Connect, Registered, Source, Sources
from hookline.core.step import Flow, StepChange, Unknown
from hookline.core.targets import targets_of
from hookline.core.trace import Trace
from hookline.core.transaction import Transaction
from hookline.errors import (
    DuplicateHookError,
    RegistrationError,
    RegistrationStoreError,
    TargetError,
    UnknownArgumentError,
    UnknownEventError,
    UnknownOptionError,
    near,
)

F = TypeVar("F", bound=Callable[..., Any])
ErrorHandler = Callable[[BaseException, "Change[Any] | None", "Hook | None"], None]

_OPTIONS: Final = (
    "when",
    "name",
    "category",
    "order",
    "runs_before",
    "runs_after",
    "exact",
    "protected",
    "net",
    "bypass",
    "retry",
    "key",
)


class Adapter(Protocol):
    """What the rule book asks of the libraries whose writes it governs."""

    def check(self, hook: Hook) -> None:
        """Refuse a hook whose targets or fields are not there."""

    def relation(self, target: object) -> Relation | None:
        """The relation that a target names; None if it is not this adapter's."""

    # -- for registrations, which name things by data

    @property
    def known_models(self) -> int:
        """A number that grows whenever there are more models."""

    def name_of(self, target: object) -> str | None:
        """The name of a class or a relation, the same in all processes; None if it is not this adapter's."""

    def named(self, name: str) -> object | None:
        """The class or the relation of this name; None if there is none.

        Raises:
            TargetError: It may mean several.
        """

    def names(self) -> Iterable[str]:
        """The short names of all classes, for messages."""

    def row_of(self, entity: object) -> tuple[type, tuple[Any, ...]] | None:
        """The class and the key of an object; None if it is not this adapter's, or has no key yet."""

    def identity(self, model: type, key: tuple[Any, ...]) -> Hashable:
        """The identity of a row, as `Change.identity` has it."""

    def key_names(self, model: type) -> tuple[str, ...]:
        """The fields of the primary key."""

    def to_data(self, model: type, field: str, value: Any) -> Any:
        """A field's value as JSON has it.

        Raises:
            TargetError: It cannot be kept so.
        """

    def from_data(self, model: type, field: str, data: Any) -> Any:
        """A field's value from JSON.

        Raises:
            TargetError: It is none of this field.
        """

    def begin(self, session: Any) -> bool:
        """Let a session's transaction go on with the registrations of now; False if it is not this adapter's."""

    # -- for workflows

    def row(self, session: Any, entity: object) -> End | None:
        """The row of an object, as the steps of a session have it; None if it is not this adapter's session."""

    def row_at(self, session: Any, model: type, key: tuple[Any, ...]) -> End | None:
        """The same by its key."""

    def transaction(self, session: Any) -> Transaction:
        """The transaction of a session that it governs."""

    def field_of(self, target: Any) -> tuple[type, str]:
        """The class and the name of an attribute, which `named` has found."""

    def happen(self, session: Any, steps: Sequence[StepChange], write: Callable[[], None]) -> None:
        """Let steps happen in a session's transaction: run the hooks around what writes them."""

    def session(self) -> Any:
        """A new session like those that it governs; where they are async, the sync one inside."""

    @property
    def asynchronous(self) -> bool:
        """Whether these sessions are async."""

    @property
    def store(self) -> Any:
        """What workers ask for deliveries."""


class Hooks:
    """The rule book: it registers hooks and answers what would run.

    Registration is safe while other threads write: a flush that has begun goes on with the hooks it began with.

    Args:
        name: For messages.
        max_depth: How many causes may stand behind a write before it counts as a loop.
        on_error: Called with the error, the change and the hook for each failure after the end of a transaction.
        bypass: What happens to a write that would go around hooks, such as raw SQL: ``capture`` (the database takes it
            down, and hooks run late), ``refuse``, ``warn`` or ``allow``. A hook may have a policy of its own.

    Example:
        >>> hooks = Hooks()
        >>> @hooks.before("save", dict)
        ... def tidy(change):
        ...     change.new["name"] = change.new["name"].strip()
        >>> [hook.name for hook in hooks]
        ['tidy']
    """

    def __init__(
        self, name: str = "hooks", *, max_depth: int = 16, on_error: ErrorHandler | None = None, bypass: str = "warn"
    ) -> None:
        if max_depth < 1:
            raise RegistrationError(f"max_depth must be at least 1, not {max_depth!r}.")
        self.name, self.max_depth, self.on_error, self.bypass = name, max_depth, on_error, bypass
        self.surroundings = Surroundings(name)
        self._trace: ContextVar[Trace | None] = ContextVar(f"{name}.trace", default=None)
        self._lock = RLock()
        self._plan = Plan((), ())
        self._adapters: list[Adapter] = []
        self.callbacks = Callbacks()
        self.sources = Sources()
        self.flows: dict[str, Flow] = {}

    @property
    def bypass(self) -> str:
        """What happens to a write that would go around a hook without a policy of its own; may be assigned.

        Raises:
            UnknownPolicyError: It was assigned what is no policy.
        """
        return self._bypass

    @bypass.setter
    def bypass(self, policy: str) -> None:
        self._bypass = policy_named(policy, f"rule book {self.name!r}")

    # -- registration

    def before(self, event: str, target: object = None, **options: Any) -> Callable[[F], F]:
        """Register a hook that runs before each change is written; it may edit it, and may refuse it.

        Args:
            event: ``insert``, ``update``, ``delete``, ``save``, ``write``, ``link`` or ``unlink``; of workflows,
                ``approve``, ``transition`` or ``complete``.
            target: A class (subclasses included), a relation, a `RelationSet`, the field of a workflow, several of
                them, or None for all.
            **options: ``when`` (a condition), ``name``, ``category``, ``order`` (low first), ``runs_before`` and
                ``runs_after`` (names of hooks), ``exact`` (no subclasses), ``protected`` (cannot be switched off),
                ``bypass`` (what happens to a write that would go around it: ``capture``, ``refuse``, ``warn`` or
                ``allow``; what the rule book says if left out). A `before` hook cannot have ``capture``.

        Raises:
            RegistrationError: Something of it cannot be; the message says what to write instead.
        """
        return self._decorator("before", event, target, options)

    def check(self, event: str, target: object = None, **options: Any) -> Callable[[F], F]:
        """Register a hook that sees each change exactly as it will be written, and may refuse it."""
        return self._decorator("check", event, target, options)

    def after(self, event: str, target: object = None, **options: Any) -> Callable[[F], F]:
        """Register a hook that runs after each change is written, in the same transaction."""
        return self._decorator("after", event, target, options)

    def before_commit(self, event: str, target: object = None, **options: Any) -> Callable[[F], F]:
        """Register a hook that gets the net changes before COMMIT; ``net=False`` for every step."""
        return self._decorator("before_commit", event, target, options)

    def after_commit(self, event: str, target: object = None, **options: Any) -> Callable[[F], F]:
        """Register a hook that gets the net changes after COMMIT, in this process; ``net=False`` for every step."""
        return self._decorator("after_commit", event, target, options)

    def after_rollback(self, event: str, target: object = None, **options: Any) -> Callable[[F], F]:
        """Register a hook that gets the net changes of a transaction that did not commit."""
        return self._decorator("after_rollback", event, target, options)

    @overload
    def durable(self, event: str, target: object = None, *, to: None = None, **options: Any) -> Callable[[F], F]: ...

    @overload
    def durable(self, event: str, target: object = None, *, to: Sink, **options: Any) -> Hook: ...

    def durable(
        self, event: str, target: object = None, *, to: Sink | None = None, **options: Any
    ) -> Callable[[F], F] | Hook:
        """Register a hook that gets the net changes in a worker, in any process, and is tried until it succeeds.

        One row is written for each hook and net change, in the transaction itself: no row, no commit; no commit, no
        row.

        Args:
            event: As of `before`.
            target: As of `before`.
            to: Where its deliveries go instead of to a function, such as a `Webhook`; the hook is then registered at
                once, and returned. Its name is of the sink, the event and the target, if none is given.
            **options: As of `before`, with ``net`` and: ``retry`` (a `Retry`), ``key`` (deliveries of one key run one
                after the other, in the order of commits: the name of a field, or a function of the change; the row's
                own key if left out).

        Raises:
            RegistrationError: Something of it cannot be; the message says what to write instead.
        """
        if to is None:
            return self._decorator("durable", event, target, options)
        options.setdefault("name", f"{event} {' '.join(map(_told, targets_of(target))) or 'anything'} to {to.name}")
        return self.add(to.deliver, "durable", event, target, **options)

    def _decorator(self, phase: str, event: str, target: object, options: Mapping[str, Any]) -> Callable[[F], F]:
        if isinstance(event, FunctionType):
            raise UnknownEventError(f"The decorator needs an event: write @hooks.{phase}('save', Person).")
        events_named(event)

        def register(function: F) -> F:
            self.add(function, phase, event, target, **options)
            return function

        return register

    def add(self, function: Callable[..., Any], phase: str, event: str, target: object = None, **options: Any) -> Hook:
        """Register a function as a hook; the same as the decorators, for code that has the phase in a variable.

        Returns:
            The hook.
        """
        hook = self.bound(function, phase, event, target, **options)
        self._register([hook])
        return hook

    def bound(
        self, function: Callable[..., Any], phase: str, event: str, target: object = None, **options: Any
    ) -> Hook:
        """A function as a hook that is not registered yet; arguments as of `add`."""
        for option in options:
            if option not in _OPTIONS:
                raise UnknownOptionError(f"Hooks have no option {option!r}.{near(option, _OPTIONS)}")
        phase = phase_named(phase)
        name = _name(options.get("name"), function)
        when = options.get("when")
        if options.get("net") is False and phase not in COMMIT_PHASES:
            raise RegistrationError(f"net=False is for the commit phases; in {phase!r} a hook sees every step anyway.")
        hook = Hook(
            name=name,
            function=function,
            phase=phase,
            events=events_named(event),
            targets=targets_of(target),
            arguments=read(function, f"hook {name!r} ({phase})"),
            condition=None if when is None else condition(when),
            category=options.get("category"),
            order=options.get("order", 0),
            runs_before=_names(options.get("runs_before", ())),
            runs_after=_names(options.get("runs_after", ())),
            exact=options.get("exact", False),
            protected=options.get("protected", False),
            net=options.get("net", True),
            bypass=own_policy(options.get("bypass"), f"hook {name!r} ({phase})", phase),
            terms=_terms(options, name, phase),
        )
        if phase != "durable" and "delivery" in hook.arguments.names:
            raise UnknownArgumentError(f"{hook} asks for 'delivery', which only durable hooks (@hooks.durable) have.")
        return hook

    def include(self, other: Hooks) -> None:
        """Register all hooks of another rule book here, and use its workflows; later additions there do not follow.

        A hook keeps the ``bypass`` policy that it was given. One that was given none follows this rule book from now
        on, where it runs for this one.
        """
        if other is self:
            raise RegistrationError("A rule book cannot include itself.")
        self._register(list(other))
        for flow in other.flows.values():
            self.flows[flow.name] = flow
            flow.follow(self)
        if other._plan.followed:
            self.follow(*other._plan.followed)

    def remove(self, name: str) -> Hook:
        """Take a hook out.

        Raises:
            KeyError: There is none of this name.
        """
        with self._lock:
            gone = self[name]
            self._replace(tuple(hook for hook in self._plan.hooks if hook is not gone))
        return gone

    def follow(self, *models: type) -> None:
        """Follow the writes of models that have no hook, so that ``tx.changes(Model)`` knows them."""
        for model in models:
            if not isinstance(model, type):
                raise TargetError(f"follow() takes classes, not {model!r}.")
        with self._lock:
            self._plan = Plan(self._plan.hooks, (*self._plan.followed, *models))

    def _register(self, fresh: list[Hook]) -> None:
        with self._lock:
            known = {hook.name: hook for hook in self._plan.hooks}
            for hook in fresh:
                if hook.name in known:
                    raise DuplicateHookError(
                        f"There is a {known[hook.name]} already, {_place(known[hook.name])}; "
                        f"the other is {_place(hook)}. "
                        f"Give one of them another name: @hooks.{hook.phase}(..., name='{hook.name}_2')."
                    )
                for adapter in self._adapters:
                    adapter.check(hook)
                known[hook.name] = hook
            if any(hook.runs_before or hook.runs_after for hook in known.values()):
                in_order(known.values(), complete=False)
            self._replace(tuple(known.values()))

    def _replace(self, hooks: tuple[Hook, ...]) -> None:
        self._plan = Plan(hooks, self._plan.followed)

    def adopt(self, adapter: Adapter) -> Callable[[], None]:
        """Let an adapter check every hook, those registered now and later, against its models.

        Returns:
            A function that ends it.
        """
        with self._lock:
            for hook in self._plan.hooks:
                adapter.check(hook)
            self._adapters.append(adapter)
        return lambda: self._adapters.remove(adapter)

    # -- registrations

    def callback(self, function: Any = None, *, name: str | None = None) -> Any:
        """Mark a function as one that registrations, which are data, may name.

        Args:
            function: The function; it takes arguments as any hook does.
            name: Its name for data; the function's own if None.

        Returns:
            The function as it was given; without one, a decorator.

        Raises:
            DuplicateHookError: Another function is marked with this name.

        Example:
            >>> hooks = Hooks()
            >>> @hooks.callback
            ... def congratulate(change): ...
            >>> @hooks.callback(name="say goodbye")
            ... def goodbye(change): ...
            >>> list(hooks.callbacks)
            ['congratulate', 'say goodbye']
        """
        if function is None:
            return lambda marked: self.callback(marked, name=name)
        with self._lock:
            self.callbacks.mark(function, name)
        return function

    def use(self, registrations: Source | Flow) -> None:
        """Obey registrations: hooks that are bound at run time, as `hookline.registrations` keeps them; or a workflow.

        Args:
            registrations: `MemoryRegistrations`, `DatabaseRegistrations`, or a `hookline.workflow.Workflow`.

        Raises:
            RegistrationStoreError: Their tables are missing or outdated, or they are another rule book's.
            WorkflowStoreError: The workflow is another rule book's.
        """
        if isinstance(registrations, Flow):
            self._use_flow(registrations)
            return
        with self._lock:
            if any(one is registrations for one in self.sources.all):
                return
            if any(one.name == registrations.name for one in self.sources.all):
                raise RegistrationStoreError(
                    f"The rule book {self.name!r} uses registrations of the name {registrations.name!r} already. "
                    f"Give these another one, which becomes part of their hooks' names: name='other'."
                )
            registrations.join(self)
            self.sources.add(registrations)

    def _use_flow(self, flow: Flow) -> None:
        with self._lock:
            known = self.flows.get(flow.name)
            if known is not None and known is not flow:
                raise RegistrationError(
                    f"The rule book {self.name!r} uses a workflow {flow.name!r} already. One field has one workflow."
                )
            if known is None:
                flow.join(self)
                self.flows[flow.name] = flow

    def registered(self, connect: Connect) -> Registered:
        """The hooks of all registrations for a transaction that begins now; an adapter asks once in each.

        Args:
            connect: Given a table, the connection by which the writing session reaches it.
        """
        return self.sources.current(connect)

    @property
    def known_plan(self) -> Plan:
        """The hooks with those of registrations, as this process has seen them last; asks no database."""
        return self.sources.known().plan(self.plan) if self.sources.all else self.plan

    def durable_hooks(self) -> dict[str, Hook]:
        """The durable hooks by name, those of registrations as this process has seen them last: for workers."""
        registered = self.sources.known().by_name.values() if self.sources.all else ()
        every = (*self.plan.phase("durable"), *registered)
        return {hook.name: hook for hook in every if hook.phase == "durable"}

    @property
    def adapters(self) -> tuple[Adapter, ...]:
        """What governs this rule book's writes."""
        return tuple(self._adapters)

    def store(self, of: Adapter | None = None) -> Any:
        """Where the deliveries of durable hooks wait, for workers.

        Args:
            of: Which attachment, if there are several.

        Raises:
            RegistrationError: The rule book is not attached, or to several things and none was named.
        """
        if of is not None:
            return of.store
        if len(self._adapters) != 1:
            raise RegistrationError(
                f"{self!r} is attached to {len(self._adapters) or 'no'} sessions"
                + (
                    ", so it has no deliveries. Write attach(hooks, SessionLocal) first."
                    if not self._adapters
                    else ": say whose deliveries are meant, with what attach() returned."
                )
            )
        return self._adapters[0].store

    # -- looking

    @property
    def plan(self) -> Plan:
        """The hooks that code has registered, as they are now."""
        plan = self._plan
        if plan.stale:
            with self._lock:
                plan = self._plan = Plan(self._plan.hooks, self._plan.followed)
        return plan

    def __iter__(self) -> Iterator[Hook]:
        return iter(self._plan.hooks)

    def __len__(self) -> int:
        return len(self._plan.hooks)

    def __contains__(self, name: object) -> bool:
        return any(hook.name == name for hook in self)

    def __getitem__(self, name: str) -> Hook:
        for hook in self:
            if hook.name == name:
                return hook
        if registered := self.sources.known().by_name.get(name):
            return registered
        raise KeyError(f"There is no hook {name!r}.{near(name, [hook.name for hook in self])}")

    def __repr__(self) -> str:
        return f"<Hooks {self.name!r}: {len(self)}>"

    def explain(
        self,
        event: str | Change[Any],
        target: object = None,
        old: Mapping[str, Any] | None = None,
        new: Mapping[str, Any] | None = None,
        *,
        phase: str | None = None,
        key: Any = None,
    ) -> Explanation:
        """Say which hooks would run for a change, in order and why; and which would not, and why not.

        Args:
            event: What would happen; or a `Change`, and nothing else is needed.
            target: The class, or the relation of a link.
            old: The values before, by attribute name.
            new: The values after; of an update, those that are not given are as in ``old``.
            phase: Only this phase; all if None.
            key: The primary key, for registrations that are about single objects. Registrations are those that this
                process has seen last.

        Example:
            >>> from hookline import changed
            >>> hooks = Hooks()
            >>> rule = hooks.add(lambda change: None, "check", "update", dict, name="age", when=changed("age"))
            >>> print(hooks.explain("update", dict, old={"age": 1}, new={"age": 1}))
            update dict None ()
            does not run: hook 'age' (check)
                update of dict
                does not hold: changed('age') (age: 1 -> 1)
        """
        plan = self.known_plan
        phases = PHASES if phase is None else (phase_named(phase),)
        if isinstance(event, Change):
            change = event
        else:
            (single, *others) = events_named(event)
            if others:
                raise UnknownEventError(f"explain() takes one event, and {event!r} stands for several: {single!r}, ...")
            if single in STEP_EVENTS:
                return self._explain_step(plan, single, target, old or {}, new or {}, phases)
            if single in LINK_EVENTS or not isinstance(target, type):
                return self._explain_link(plan, single, target, phases)
            values = {**(old or {}), **(new or {})}
            asked: ValueChange[Any] = ValueChange(single, target, key=key, old=old or {}, new=values)
            if key is not None and self._adapters:
                asked.row = self._adapters[0].identity(target, key if isinstance(key, tuple) else (key,))
            change = asked
        if isinstance(change, StepChange):
            return self._explained_step(plan, change, phases)
        matched = {one: plan.for_row(one, change.event, change.model) for one in phases}
        return explain(plan, change, matched, self.surroundings.control, change.model.__name__)

    def _explain_step(
        self, plan: Plan, event: str, target: object, old: Mapping[str, Any], new: Mapping[str, Any],
        phases: Iterable[str],
    ) -> Explanation:  # fmt: skip
        flow = next((one for one in self.flows.values() if one.named_by(target)), None)
        if flow is None:
            raise TargetError(
                f"explain({event!r}, ...) needs the field of a workflow that the rule book uses, not {target!r}. "
                f"There are: {', '.join(self.flows) or 'none'}."
            )
        step = StepChange(event, flow, Unknown(flow.model), old.get(flow.field), new.get(flow.field))
        return self._explained_step(plan, step, phases)

    def _explained_step(self, plan: Plan, step: StepChange, phases: Iterable[str]) -> Explanation:
        matched = {one: plan.for_step(one, step.event, step.flow, step.model) for one in phases}
        return explain(plan, step, matched, self.surroundings.control, f"{step.model.__name__}.{step.field}")

    def _explain_link(self, plan: Plan, event: str, target: object, phases: Iterable[str]) -> Explanation:
        if event not in LINK_EVENTS or target is None or isinstance(target, type):
            wanted = "a relation, such as Company.boss" if event in LINK_EVENTS else "a class"
            raise TargetError(f"explain({event!r}, ...) needs {wanted}, not {target!r}.")
        found = (adapter.relation(target) for adapter in self._adapters)
        relation = next((one for one in found if one is not None), None)
        if relation is None:
            raise TargetError(
                f"explain({event!r}, {target}) needs a relation of models that the rule book governs: attach it first."
            )
        side = relation.side_of(target) or "near"
        model = relation.near_model if side == "near" else relation.far_model
        matched = {one: tuple(hook for hook, _ in plan.for_link(one, event, relation)) for one in phases}
        return explain(plan, ValueChange(event, model), matched, self.surroundings.control, str(target))

    # -- surroundings

    def context(self, **values: Any) -> AbstractContextManager[None]:
        """Let hooks ask for these values by name, in this thread or task, for the time of a block."""
        return self.surroundings.holding(values)

    def deny_all_but(self, *categories: str) -> AbstractContextManager[None]:
        """Switch off all hooks but those of these categories, in this thread or task, for the time of a block."""
        return self.surroundings.narrowed(True, categories)

    def allow_all_but(self, *categories: str) -> AbstractContextManager[None]:
        """Switch off the hooks of these categories, in this thread or task, for the time of a block."""
        return self.surroundings.narrowed(False, categories)

    @contextmanager
    def trace(self) -> Iterator[Trace]:
        """Record what runs, caused by what and how long, in this thread or task, for the time of a block."""
        trace = Trace()
        token = self._trace.set(trace)
        try:
            yield trace
        finally:
            self._trace.reset(token)

    @property
    def tracing(self) -> Trace | None:
        """The trace that is open in this thread or task."""
        return self._trace.get()


def _name(given: object, function: Callable[..., Any]) -> str:
    name = given or getattr(function, "__name__", None) or type(function).__name__
    if not isinstance(name, str) or name.splitlines() != [name]:  # logs, tables and deliveries have it in a line
        raise RegistrationError(f"A hook's name is a text of one line, as in name='tidy_name', not {name!r}.")
    return name


def _names(given: str | Callable[..., Any] | Iterable[Any]) -> tuple[str, ...]:
    several = (given,) if isinstance(given, str) or callable(given) else tuple(given)
    return tuple(one if isinstance(one, str) else one.__name__ for one in several)


def _told(target: object) -> str:
    return target.__name__ if isinstance(target, type) else str(target)


def _terms(options: Mapping[str, Any], name: str, phase: str) -> Terms | None:
    if phase == "durable":
        return terms(options.get("retry"), options.get("key"), f"hook {name!r}")
    for option in ("retry", "key"):
        if options.get(option) is not None:
            raise RegistrationError(f"{option}= is for durable hooks; hook {name!r} runs in {phase!r}, once.")
    return None


def _place(hook: Hook) -> str:
    function = hook.function
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    return f"at {code.co_filename}:{code.co_firstlineno}" if code else f"{hook.function!r}"
