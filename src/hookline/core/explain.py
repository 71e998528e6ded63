"""What would run, in order, and why; and what would not, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from hookline.core.conditions import Condition
from hookline.core.events import PHASES
from hookline.core.family import Family

if TYPE_CHECKING:
    from hookline.core.change import Change
    from hookline.core.control import Control
    from hookline.core.hook import Hook
    from hookline.core.plan import Plan


class Line(NamedTuple):
    """What an explanation says of one hook.

    Attributes:
        hook: The hook.
        runs: Whether it would run.
        reasons: Why, or why not: target, event, category, each part of its condition with the values.
    """

    hook: Hook
    runs: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{'runs' if self.runs else 'does not run'}: {self.hook}\n" + "\n".join(f"    {r}" for r in self.reasons)


class Explanation:
    """The answer of `Hooks.explain`: one line per hook, first those that run, in order.

    Iterate it for `Line` objects; print it to read them.
    """

    def __init__(self, about: str, lines: list[Line]) -> None:
        self.about = about
        self.lines = sorted(lines, key=lambda line: not line.runs)

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    @property
    def runs(self) -> list[str]:
        """The names of the hooks that would run, in order."""
        return [line.hook.name for line in self.lines if line.runs]

    @property
    def skips(self) -> list[str]:
        """The names of those that would not."""
        return [line.hook.name for line in self.lines if not line.runs]

    def __str__(self) -> str:
        return "\n".join([self.about, *map(str, self.lines)])


def explain(
    plan: Plan,
    change: Change[Any],
    matched: dict[str, tuple[Hook, ...]],
    control: Control | None,
    target: str,
) -> Explanation:
    """Explain one change.

    Args:
        plan: All hooks.
        change: What would happen.
        matched: By phase, the hooks whose event and target match, in order.
        control: The category scope in force.
        target: What it would happen to, in words.
    """
    lines: list[Line] = []
    for phase in PHASES:
        if phase not in matched:
            continue
        hits = matched[phase]
        for hook in [*hits, *(hook for hook in plan.phase(phase) if hook not in hits)]:
            lines.extend(_lines(hook, hook in hits, change, control, target))
    return Explanation(change.describe(), lines)


def _lines(hook: Hook, hit: bool, change: Change[Any], control: Control | None, target: str) -> Iterator[Line]:
    if not isinstance(hook, Family) or not hit:
        yield _line(hook, hit, change, control, target)
        return
    about = list(hook.about(change))
    for member in about:
        yield _line(member, True, change, control, f"{target} {change.key!r}")
    if len(about) < sum(map(len, hook.members.values())):
        if change.key is None:
            reason = "for single objects, and no key was given: explain(..., key=...)"
        else:
            reason = f"for {'other ' if about else ''}single objects, not for {target} {change.key!r}"
        yield Line(hook, False, (reason,))


def _line(hook: Hook, hit: bool, change: Change[Any], control: Control | None, target: str) -> Line:
    if change.event not in hook.events:
        return Line(hook, False, (f"the event is {change.event}, it is for {' and '.join(hook.events)}",))
    if not hit:
        targets = ", ".join(map(_named, hook.targets))
        exactly = "exactly " if hook.exact else ""
        return Line(hook, False, (f"the target is {target}, it is for {exactly}{targets}",))
    reasons = [f"{change.event} of {target}"]
    runs = True
    if control is not None:
        runs = control.permits(hook.category, hook.protected)
        if runs and not control.permits(hook.category, False):
            reasons.append(f"{control} forbids category {hook.category!r}, but the hook is protected")
        else:
            reasons.append(f"{control} {'permits' if runs else 'forbids'} category {hook.category!r}")
    if hook.condition is not None:
        holds = _answers(hook.condition, change, reasons, 0)
        runs = runs and holds
    return Line(hook, runs, tuple(reasons))


def _answers(condition: Condition, change: Change[Any], reasons: list[str], level: int) -> bool:
    try:
        holds, said = condition(change), condition.seen(change)
    except Exception as error:  # noqa: BLE001 - a rule's own function may choke on made-up values: that is an answer too
        reasons.append(f"{'  ' * level}fails: {condition} raises {error!r}")
        return False
    reasons.append(
        f"{'  ' * level}{'holds' if holds else 'does not hold'}: {condition}" + (f" ({said})" if said else "")
    )
    for part in condition.parts():
        _answers(part, change, reasons, level + 1)
    return holds


def _named(target: Any) -> str:
    return target.__name__ if isinstance(target, type) else str(target)
