"""The async half of SQLAlchemy, touched only where somebody uses it: it needs greenlet, which is optional."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from types import FrameType
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from hookline.errors import PhaseError, UsageError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from hookline.core.hook import Hook

_MODULE = "sqlalchemy.ext.asyncio"


def is_a(target: object, *names: str) -> bool:
    """Whether something is an instance of one of these classes of ``sqlalchemy.ext.asyncio``.

    While that module is not imported, nothing is.
    """
    module = sys.modules.get(_MODULE)
    return module is not None and isinstance(target, tuple(getattr(module, name) for name in names))


def is_async_class(target: object) -> bool:
    """Whether something is an AsyncSession class."""
    module = sys.modules.get(_MODULE)
    return module is not None and isinstance(target, type) and issubclass(target, module.AsyncSession)


def around(session: Session) -> AsyncSession | None:
    """The AsyncSession around a sync session; None if there is none."""
    module = sys.modules.get(_MODULE)
    return None if module is None else module.async_session(session)


def wait(awaitable: Awaitable[Any]) -> Any:
    """Await from sync code that an AsyncSession runs in its greenlet."""
    from sqlalchemy.util import await_only

    return await_only(awaitable)


def refuse_outside_greenlet() -> None:
    """Refuse to ask the outbox of async sessions from where nothing can be awaited.

    Raises:
        UsageError: It was asked without `Deliveries.call`.
    """
    from sqlalchemy.util.concurrency import in_greenlet

    if not in_greenlet():
        raise UsageError(
            "The deliveries of async sessions have to be awaited: write "
            "`await deliveries.call(deliveries.counts)`, not `deliveries.counts()`."
        )


def not_awaited(hook: Hook | None) -> PhaseError:
    """The error of an async hook that reads an entity which is not there."""
    name = "hook" if hook is None else hook.function.__name__
    return PhaseError(
        f"{hook} reads `change.entity`, which has to be loaded, and a coroutine cannot do that by reading an "
        f"attribute. Ask for it by name, `async def {name}(change, entity)`, or read `change.new`."
    )


def waiting_frame() -> FrameType | None:
    """Where the async code stands that called the sync code which is running now; None if no async code did."""
    module = sys.modules.get("greenlet")
    parent = None if module is None else module.getcurrent().parent
    return None if parent is None else parent.gr_frame


def in_coroutine(session: Session) -> bool:
    """Whether an async hook is running itself, so that nothing can be asked of the database without awaiting."""
    if around(session) is None:
        return False
    from sqlalchemy.util.concurrency import in_greenlet

    return not in_greenlet()
