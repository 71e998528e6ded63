"""Asking an outbox from a command, whether its sessions are sync or async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from hookline.cli.rulebook import attachment, rule_book
from hookline.durable import Deliveries
from hookline.errors import RegistrationError

R = TypeVar("R")


def ask(target: str, of: str | None, question: Callable[[Deliveries], R]) -> R:
    """Let a function ask the deliveries of a rule book.

    Args:
        target: The rule book, ``module:attribute``.
        of: Which attachment, ``module:attribute``, if there are several.
        question: Called once, where it may ask several things.

    Raises:
        HooklineError: There is no such rule book, it is not attached, or it has no outbox.
    """
    deliveries = opened(target, of)

    def answer() -> R:
        try:
            deliveries.check()
            return question(deliveries)
        finally:
            deliveries.close()

    return asyncio.run(deliveries.call(answer)) if deliveries.asynchronous else answer()


def opened(target: str, of: str | None) -> Deliveries:
    """The deliveries of a rule book.

    Raises:
        UsageError: There is no such rule book.
        RegistrationError: It is not attached, or to several things and none was named.
    """
    try:
        return Deliveries(rule_book(target), attachment(of))
    except RegistrationError as error:
        error.add_note("A command names one of several attachments with --of, as in --of shop.app:attachment.")
        raise
