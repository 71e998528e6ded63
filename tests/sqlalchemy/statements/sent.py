"""The statements that were sent, counted."""

from __future__ import annotations

from typing import Any


class Sent(list[tuple[str, Any]]):
    """Text and parameters of each; `clear` starts anew."""

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self]

    @property
    def writes(self) -> list[str]:
        """Those that may write: neither the reading before them, nor the taking of a lock, nor the desk of edits."""
        return [
            text
            for text in self.texts
            if text.startswith(("INSERT", "UPDATE", "DELETE", "WITH"))
            and not text.endswith("WHERE 0")
            and not text.split("(")[0].split("WHERE")[0].rstrip().split()[2].startswith("hookline_edits")
        ]

    @property
    def reads(self) -> list[str]:
        return [text for text in self.texts if text.startswith("SELECT")]
