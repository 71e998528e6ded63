"""No hook ends the transaction that it runs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from hookline.errors import PhaseError

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost

_ENDINGS: Final = ("commit", "rollback", "close", "prepare", "reset", "invalidate")


@contextmanager
def kept_open(host: SessionHost) -> Iterator[None]:
    """For the time of a block, let the session refuse to end its transaction.

    Savepoints are not concerned: ``with session.begin_nested()`` ends what it began.
    """
    session = host.session
    before: dict[str, Any] = {name: session.__dict__[name] for name in _ENDINGS if name in session.__dict__}
    for name in _ENDINGS:
        session.__dict__[name] = _refusal(host, name)
    try:
        yield
    finally:
        for name in _ENDINGS:
            session.__dict__.pop(name, None)
        session.__dict__.update(before)


def _refusal(host: SessionHost, name: str) -> Any:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise PhaseError(
            f"{host.running() or 'An operation'} calls {name}() on the session whose transaction it runs in. "
            f"The one who began the transaction ends it. To refuse the write, raise a ValidationError; for a part "
            f"that may fail, use session.begin_nested(); for work in a transaction of its own, an after_commit hook."
        )

    return refuse
