"""Who wants to know of each warning, whatever the filters of the `warnings` module make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hookline.errors import HooklineWarning

Witness = Callable[[HooklineWarning], None]

_witnesses: tuple[Witness, ...] = ()


@contextmanager
def witnessing(witness: Witness) -> Iterator[None]:
    """Let a function know of each warning, of any thread, for the time of a block.

    Args:
        witness: Is given the warning before anybody else hears of it. What it raises goes to the one who writes.
    """
    global _witnesses  # noqa: PLW0603 - a warning of another thread is meant as well
    _witnesses = (*_witnesses, witness)
    try:
        yield
    finally:
        _witnesses = tuple(one for one in _witnesses if one is not witness)


def tell(warning: HooklineWarning) -> None:
    """Let all witnesses know, the latest first."""
    for witness in reversed(_witnesses):
        witness(warning)
