"""What a workflow itself is writing, so that it is not taken for a write around it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hookline.core.transaction import Transaction
    from hookline.workflow.workflow import Workflow

Write = tuple[Hashable, str]
"""The identity of a row, with the state that it is given."""


def allowed(flow: Workflow, tx: Transaction) -> set[Write]:
    """What the workflow is writing now, in a transaction."""
    found: set[Write] = tx.data.setdefault(("workflow writes", flow), set())
    return found


@contextmanager
def allowing(flow: Workflow, tx: Transaction, writes: Iterable[Write]) -> Iterator[None]:
    """Let these be written, for the time of a block."""
    now, fresh = allowed(flow, tx), set(writes)
    before = set(now)
    now |= fresh
    try:
        yield
    finally:
        now.intersection_update(before)
