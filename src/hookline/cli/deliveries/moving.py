"""What retrying and cancelling have in common: by number at once, by what they are like after a question."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from hookline.cli.asking import ask
from hookline.durable import Deliveries
from hookline.errors import UsageError


def move(
    target: str, of: str | None, verb: str, movable: Sequence[str],
    ids: Sequence[int], state: str | None, hook: str | None, yes: bool,
) -> None:  # fmt: skip
    """Retry or cancel deliveries.

    Args:
        target: The rule book.
        of: Which attachment, if there are several.
        verb: The name of the method.
        movable: The states of those that it is about.
        ids: Which; if none is given, those of the state and the hook.
        state: Their state.
        hook: Their hook.
        yes: Whether not to ask.

    Raises:
        UsageError: It was not said which are meant, or in two ways.
        Exit: With 1, if some were left alone.
    """
    if bool(ids) == (state is not None or hook is not None):
        raise UsageError(
            f"Say which deliveries are meant, in one way: hookline deliveries {verb} {target} 17 18, or "
            f"hookline deliveries {verb} {target} --state dead --hook send_receipt."
        )
    if ids:
        left = ask(target, of, lambda deliveries: _by_number(deliveries, verb, ids))
        for line in left:
            typer.echo(line, err=True)
        typer.echo(_told(verb, len(ids) - len(left)))
        if left:
            raise typer.Exit(1)
        return
    number = ask(target, of, lambda deliveries: _how_many(deliveries, movable, state, hook))
    if not number:
        typer.echo(f"there is nothing to {verb}", err=True)
        raise typer.Exit(1)
    if not yes:
        typer.confirm(f"{verb} {_deliveries(number)}?", abort=True)
    typer.echo(_told(verb, ask(target, of, lambda deliveries: getattr(deliveries, verb)(state=state, hook=hook))))


def _by_number(deliveries: Deliveries, verb: str, ids: Sequence[int]) -> list[str]:
    """Move each of them; returns what there is to say of those that were left alone."""
    for number in ids:  # those that are not there are told before anything is moved
        deliveries.show(number)
    left = []
    for number in ids:
        if not getattr(deliveries, verb)([number]):
            left.append(f"delivery {number} was left alone: it is {deliveries.show(number).state}")
    return left


def _how_many(deliveries: Deliveries, movable: Sequence[str], state: str | None, hook: str | None) -> int:
    return sum(
        count.number
        for count in deliveries.counts()
        if count.state in movable and state in (None, count.state) and hook in (None, count.hook)
    )


def _told(verb: str, number: int) -> str:
    return f"{_deliveries(number)} {'will run again' if verb == 'retry' else 'will not run'}"


def _deliveries(number: int) -> str:
    return f"{number} {'delivery' if number == 1 else 'deliveries'}"
