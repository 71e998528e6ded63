"""``hookline draw``: a workflow as a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hookline.cli.rulebook import Of, Target, attachment, rule_book
from hookline.errors import UsageError, near


class Form(StrEnum):
    """What kind of picture."""

    text = "text"
    mermaid = "mermaid"
    svg = "svg"


def draw(
    target: Target,
    workflow: Annotated[
        str | None, typer.Option(help="Which workflow, as in parcel.status, if the rule book has several.")
    ] = None,
    form: Annotated[Form, typer.Option(help="What kind of picture.")] = Form.text,
    key: Annotated[
        list[str] | None,
        typer.Option(help="The key of an object, whose way so far is marked; once for each column of the key."),
    ] = None,
    current: Annotated[
        bool, typer.Option("--current", help="Draw the definition that the database has, rather than that of code.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="A file to write to.")] = None,
    of: Of = None,
) -> None:
    """Draw a workflow of the rule book, as text, Mermaid or SVG."""
    flow = _chosen(target, workflow)
    if not key and not current:
        picture = flow.draw(form.value)
    else:
        picture = _with_session(target, of, lambda session: _drawn(flow, session, form.value, key))
    if output is None:
        typer.echo(picture)
    else:
        output.write_text(picture, encoding="utf-8")


def _chosen(target: str, name: str | None) -> Any:
    flows = rule_book(target).flows
    if name is None and len(flows) == 1:
        return next(iter(flows.values()))
    if name not in flows:
        if not flows:
            raise UsageError(f"The rule book {target} uses no workflow. Write hooks.use(workflow).")
        if name is None:
            raise UsageError(f"Say which workflow with --workflow: {', '.join(flows)}.")
        raise UsageError(f"The rule book {target} uses no workflow {name!r}.{near(name, flows)}")
    return flows[name]


def _drawn(flow: Any, session: Any, form: str, key: list[str] | None) -> str:
    if not key:
        return str(flow.draw(form, definition=flow.current(session)))
    values = flow.key_from_text(key)
    entity = session.get(flow.model, values)
    if entity is None:
        raise UsageError(f"There is no {flow.model.__name__} with the key {', '.join(key)}.")
    return str(flow.draw(form, of=entity))


def _with_session(target: str, of: str | None, question: Callable[[Any], str]) -> str:
    """Ask in a session like those that the rule book is attached to."""
    book, adapter = rule_book(target), attachment(of)
    store = book.store(adapter)

    def answer() -> str:
        try:
            with (adapter or book.adapters[0]).session() as session:
                return question(session)
        finally:
            store.close()

    return asyncio.run(_awaited(store.call(answer))) if store.asynchronous else answer()


async def _awaited(answer: Awaitable[str]) -> str:
    return await answer
