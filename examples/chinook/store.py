"""The store as the stories see it: hooked sessions to write with, plain SQL to look behind their backs."""

from __future__ import annotations

from typing import Any

from database import connect
from rich.console import Console
from sqlalchemy import URL, text
from sqlalchemy.orm import Session, sessionmaker


class Store:
    """A database full of music.

    Attributes:
        sessions: makes sessions; the rule book is attached to it.
        heard: what the loudspeaker has said since it was last cleared.
        failed: the claims that turned out to be false.
    """

    def __init__(self, url: URL, console: Console) -> None:
        self.console = console
        self.engine = connect(url)
        self.sessions = sessionmaker[Session](self.engine)
        self.heard: list[str] = []
        self.checked = 0
        self.failed: list[str] = []
        self._plain = connect(url)  # no hook knows of this engine

    def loudspeaker(self, message: str) -> None:
        self.heard.append(message)
        self.console.print(f"  [magenta]♪ now playing: {message}[/]")

    def tell(self, title: str, story: str | None) -> None:
        self.console.print(f"\n[bold]{title}[/]\n  [dim]{story or ''}[/]")

    def check(self, true: bool, claim: str) -> None:
        """Print the claim, and whether it holds. One that does not makes the demo fail."""
        self.checked += 1
        if not true:
            self.failed.append(claim)
        self.console.print(f"  [green]✓[/] {claim}" if true else f"  [bold red]✗ {claim}[/]", highlight=False)

    def ask(self, question: str, **parameters: Any) -> Any:
        """The answer of the database itself, to a question in plain SQL: one value."""
        with self._plain.connect() as connection:
            return connection.execute(text(question), parameters).scalar()

    def close(self) -> None:
        self.engine.dispose()
        self._plain.dispose()
