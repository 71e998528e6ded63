"""In which order the hooks of a phase run."""

from __future__ import annotations

from collections.abc import Iterable

from hookline.core.hook import Hook
from hookline.errors import HookOrderError, near


def in_order(hooks: Iterable[Hook], *, complete: bool) -> tuple[Hook, ...]:
    """Sort hooks: by ``order``, then by ``runs_before`` and ``runs_after``, then by registration.

    Args:
        hooks: All hooks of one rule book, in the order of registration.
        complete: Whether every name in a ``runs_before`` or ``runs_after`` must be there by now.

    Raises:
        HookOrderError: The order contradicts itself, or names what is not there.
    """
    registered = list(hooks)
    by_name = {hook.name: hook for hook in registered}
    earlier: dict[str, set[str]] = {}
    for hook in registered:
        for names, hook_is_first in ((hook.runs_before, True), (hook.runs_after, False)):
            for name in names:
                other = by_name.get(name)
                if other is None:
                    if complete:
                        raise HookOrderError(
                            f"{hook} {'runs_before' if hook_is_first else 'runs_after'} {name!r}, "
                            f"which is not registered.{near(name, by_name)}"
                        )
                    continue
                first, last = (hook, other) if hook_is_first else (other, hook)
                _must_agree(hook, first, last)
                earlier.setdefault(last.name, set()).add(first.name)
    ranked = sorted(registered, key=lambda hook: hook.order)  # stable: registration decides between equals
    return tuple(ranked) if not earlier else _topological(ranked, earlier)


def _must_agree(hook: Hook, first: Hook, last: Hook) -> None:
    if first.phase != last.phase:
        raise HookOrderError(
            f"{hook} cannot be ordered relative to {last if first is hook else first}: they run in different phases."
        )
    if first.order > last.order:
        raise HookOrderError(
            f"{first} must run before {last}, but order={first.order} comes after order={last.order}. "
            f"Change one of the two orders, or drop {'runs_before' if hook is first else 'runs_after'}."
        )


def _topological(ranked: list[Hook], earlier: dict[str, set[str]]) -> tuple[Hook, ...]:
    from graphlib import CycleError, TopologicalSorter

    sorter: TopologicalSorter[str] = TopologicalSorter()
    for hook in ranked:
        sorter.add(hook.name, *earlier.get(hook.name, ()))
    try:
        sorter.prepare()
    except CycleError as error:
        names = error.args[1][:-1]
        start = names.index(min(names, key=[hook.name for hook in ranked].index))
        circle = " runs before ".join(repr(name) for name in (*names[start:], *names[:start], names[start]))
        raise HookOrderError(f"The order of hooks contradicts itself: {circle}.") from None
    place = {hook.name: number for number, hook in enumerate(ranked)}
    ready = sorted(sorter.get_ready(), key=place.__getitem__)
    done: list[Hook] = []
    while ready:
        name = ready.pop(0)
        done.append(ranked[place[name]])
        sorter.done(name)
        ready = sorted([*ready, *sorter.get_ready()], key=place.__getitem__)
    return tuple(done)
