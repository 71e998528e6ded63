"""What is done with a write that no door follows: it is refused, warned of or let through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from hookline.core.bypass import policy_of
from hookline.core.events import COMMIT_PHASES
from hookline.errors import BypassError, UnhookedWriteWarning
from hookline.sqlalchemy.skipped import Skipped
from hookline.sqlalchemy.warn import warn

if TYPE_CHECKING:
    from hookline.core.hook import Hook
    from hookline.sqlalchemy.host import SessionHost

_SHOWN: Final = 5
"""How many hooks a message names."""

_STATEMENT: Final = 120
"""How many characters of a statement a message shows."""

_ADVICE: Final = (
    "Write through the session, or by a construct such as update(Model); or capture the model, which shows all "
    "writes to `check`, `after` and the commit phases; or, where it is meant, give the hooks bypass='allow'."
)


def judge(host: SessionHost, statement: str, skipped: Iterable[Skipped], why: str) -> None:
    """Do with a statement as the strictest policy says of the hooks that it would go around.

    Args:
        host: The session that sends it.
        statement: Its text.
        skipped: The hooks that it would go around.
        why: The reason, as a sentence.

    Raises:
        BypassError: It would go around a hook whose policy refuses that.
    """
    attachment = host.attachment
    control = attachment.book.surroundings.control
    warned: dict[Hook, None] = {}
    refused: dict[Hook, str] = {}
    for hook, source, table in skipped:
        if control is not None and not control.permits(hook.category, hook.protected):
            continue
        policy = policy_of(hook, attachment.book.bypass)
        written = source if table is None else table
        captured = written is not None and attachment.captured(written)
        if captured and (hook.phase in COMMIT_PHASES or policy == "capture"):
            continue
        if policy == "warn":
            warned[hook] = None
        elif policy == "refuse":
            refused.setdefault(hook, "bypass='refuse'")
        elif policy == "capture":
            refused.setdefault(hook, f"bypass='capture', but nothing captures {_named(source)}: it needs capture()")
    around = [hook for hook in host.plan.ordered if hook in warned or hook in refused]
    if refused:
        hook, reason = next(iter(refused.items()))
        raise BypassError(f"{_goes_around(statement, around)}, and was not sent: {why} {hook} has {reason}. {_ADVICE}")
    if around:
        warn(f"{_goes_around(statement, around)}: {why} {_ADVICE}", UnhookedWriteWarning)


def _goes_around(statement: str, hooks: list[Hook]) -> str:
    text = " ".join(statement.split())
    text = text if len(text) <= _STATEMENT else f"{text[: _STATEMENT - 3]}..."
    more = f" and {len(hooks) - _SHOWN} more hooks" if len(hooks) > _SHOWN else ""
    return f"The statement {text!r} goes around {', '.join(map(str, hooks[:_SHOWN]))}{more}"


def _named(source: Any) -> str:
    if source is None:
        return "what it is about"
    return source.__name__ if isinstance(source, type) else f"table {source.name}"
