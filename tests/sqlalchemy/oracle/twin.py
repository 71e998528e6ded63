"""The same sequence without Hookline, to see that nothing but the reports is added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.exc import IntegrityError

from hookline.sqlalchemy import attach

from .database import Database
from .machine import OracleMachine
from .shapes import Shape
from .snapshot import Row, RowKey, Snapshot, differences


class BareMachine(OracleMachine):
    """Plays the steps of another machine on a session that no rule book is attached to."""

    def __init__(self, database: Database, shape: Shape) -> None:
        super().__init__(database, shape)
        self.endings: list[Snapshot] = []

    def write_rule_book(self, names: Sequence[str]) -> None:
        """None."""

    def open_session(self) -> None:
        self.session = self.database.session()
        self.savepoints = []

    def is_refusal(self, error: BaseException) -> bool:
        return isinstance(error, IntegrityError) or super().is_refusal(error)

    def tell_refusal(self, error: BaseException) -> None:
        self.tell("    # refused")

    def ended(self, *, committed: bool) -> None:
        self.endings.append(self.database.snapshot())

    def replay(self, steps: Sequence[tuple[str, dict[str, object]]]) -> None:
        """Take the same steps."""
        try:
            for name, arguments in steps:
                getattr(self, name)(**arguments)
            if self.sync_session.in_transaction():
                self.commit()
        finally:
            self.close()


class WatchedMachine(BareMachine):
    """Has hooks that only look, or an empty rule book, and compares its story with a bare machine's.

    Args:
        database: Where.
        shape: How hooks are written.
        bare: Where the bare machine plays.
        followed: Whether there are hooks.
    """

    def __init__(self, database: Database, shape: Shape, bare: Database, *, followed: bool) -> None:
        super().__init__(database, shape)
        self.bare, self.followed = bare, followed

    def write_rule_book(self, names: Sequence[str]) -> None:
        if self.followed:
            self.witness.watch(self.hooks, self.shape)

    def open_session(self) -> None:
        super().open_session()
        self.attachments.enter_context(attach(self.hooks, self.session))

    def teardown(self) -> None:
        super().teardown()
        twin = BareMachine(self.bare, self.shape)
        twin.replay(self.steps)
        for mine, its in zip(self.story, twin.story, strict=False):
            assert mine == its, f"with hooks: {mine}\nwithout: {its}"
        assert self.story == twin.story
        for mine, its in zip(self.endings, twin.endings, strict=True):
            found = differences(_without_counters(its.rows), _without_counters(mine.rows))
            assert not found, f"with hooks instead of without:\n{found}"
            assert mine.links == its.links


def _without_counters(rows: Mapping[RowKey, Row]) -> dict[RowKey, Row]:
    """Where hooks look, an UPDATE that changes nothing is not sent, so what counts UPDATEs counts less."""
    return {
        key: {name: value for name, value in row.items() if name not in ("touched", "version")}
        for key, row in rows.items()
    }
