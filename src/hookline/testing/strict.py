"""Writes that go around hooks make a test fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hookline import HooklineWarning, UnhookedWriteWarning
from hookline.core.witness import witnessing


@contextmanager
def strict() -> Iterator[None]:
    """Turn each `UnhookedWriteWarning` into a failure, for the time of a block.

    The write is not sent: the warning is raised where it would have been given, whatever filters are active, so that
    the traceback shows who writes. If somebody swallows it, the end of the block fails all the same. Writes of other
    threads count too.

    Raises:
        UnhookedWriteWarning: In the middle of the block, at the write.
        AssertionError: At the end, if the block ends well although there were such writes.

    Example:
        >>> from sqlalchemy import text
        >>> rule = hooks.add(lambda change: None, "check", "save", Person, name="age_in_range")
        >>> with strict():
        ...     session.execute(text("UPDATE person SET age = 300"))
        Traceback (most recent call last):
        hookline.errors.UnhookedWriteWarning: ...
    """
    given: list[HooklineWarning] = []

    def witness(warning: HooklineWarning) -> None:
        if isinstance(warning, UnhookedWriteWarning):
            given.append(warning)
            raise warning

    try:
        with witnessing(witness):
            yield
    except BaseException as error:
        for warning in given:
            if warning is not error:
                error.add_note(f"Before that, a write went around hooks: {warning}")
        raise
    if given:
        heading = f"Writes would have gone around hooks ({len(given)}), and somebody swallowed the error:"
        raise AssertionError("\n".join([heading, *map(str, given)]))
