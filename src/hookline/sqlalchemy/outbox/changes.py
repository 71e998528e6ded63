"""A change again, of its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hookline.core.change import Change
from hookline.core.link import LinkChange
from hookline.core.step import Flow
from hookline.errors import DeliveryError
from hookline.sqlalchemy.mapped import WRITTEN
from hookline.sqlalchemy.outbox.values import arrived, typed
from hookline.sqlalchemy.relations import RowEnd
from hookline.sqlalchemy.statements.change import StatementChange
from hookline.sqlalchemy.statements.write import StatementWrite

if TYPE_CHECKING:
    from hookline.core.hook import Hook
    from hookline.core.registry import Hooks
    from hookline.sqlalchemy.facts import Facts
    from hookline.sqlalchemy.host import SessionHost

Body = dict[str, Any]


class Reader:
    """Makes changes of bodies, in the session in which a hook is going to run.

    Args:
        host: The session.
        hook: Whose delivery it is.
    """

    def __init__(self, host: SessionHost, hook: Hook) -> None:
        self._host, self._hook = host, hook
        self._write = StatementWrite(host, "delivery")

    def changes(self, body: bytes | str) -> Change[Any] | list[Change[Any]]:
        """What `Writer.bodies` was given, or several of them in one body.

        Raises:
            DeliveryError: Its class is not there any more.
        """
        made = msgspec.json.decode(body)
        return [self._change(one) for one in made] if isinstance(made, list) else self._change(made)

    def _change(self, body: Body) -> Change[Any]:
        make = self._link if "relation" in body else self._step if "workflow" in body else self._row
        change = make(body)
        change.door, change.depth = body["door"], body.get("depth", 0)
        change.cause = _find(self._host.attachment.book, body.get("cause"))
        return change

    def _row(self, body: Body) -> Change[Any]:
        facts = self._host.schema.facts(self._model(body["model"]))
        new = _arrived(facts, body.get("new", {}))
        old = _arrived(facts, body.get("old", {}))
        if body["event"] == "update":
            old = {**new, **old}
        change = StatementChange.known(body["event"], facts, self._write, old, new)
        change.stage = WRITTEN
        return change

    def _link(self, body: Body) -> Change[Any]:
        schema = self._host.schema
        subject = self._model(body["model"])
        schema.relations.learn((schema.facts(subject).mapper,))
        relation = next((one for one in schema.relations if self._is_meant(one, subject, body)), None)
        if relation is None:
            raise self._gone(f"the relation {subject.__name__}.{body['relation']}")
        near, far = (self._end(body[side]) for side in ("near", "far"))
        change = LinkChange(body["event"], relation, near, far, tx=self._write.tx)
        return change.seen_from(body["side"])

    def _step(self, body: Body) -> Change[Any]:
        flow: Flow | None = self._host.attachment.book.flows.get(body["workflow"])
        if flow is None:
            raise self._gone(f"the workflow {body['workflow']}")
        change = flow.from_data(body["event"], self._end(body["row"]), body["step"])
        change.tx = self._write.tx
        return change

    def _is_meant(self, relation: Any, subject: type, body: Body) -> bool:
        model = relation.near_model if body["side"] == "near" else relation.far_model
        return relation.name_from(body["side"]) == body["relation"] and issubclass(subject, model)

    def _end(self, body: Body) -> RowEnd:
        facts = self._host.schema.facts(self._model(body["model"]))
        return RowEnd(self._host, facts, tuple(body["names"]), None, tuple(typed(body["values"])))

    def _model(self, name: str) -> type:
        """A class by name; one that has moved to another module is found if the hook is about no other of its name."""
        named = self._host.schema.named
        known = named.get((name, self._hook))
        if known is None:
            known = named[name, self._hook] = self._find_model(name)
        return known

    def _find_model(self, name: str) -> type:
        classes = self._host.schema.tables.classes()
        if name in classes:
            return classes[name]
        alike = [model for known, model in classes.items() if known.partition(":")[2] == name.partition(":")[2]]
        targets = tuple(target for target in self._hook.targets if isinstance(target, type))
        meant = [model for model in alike if not targets or issubclass(model, targets)]
        if len(meant) == 1:
            return meant[0]
        raise self._gone(f"the class {name.replace(':', '.')}")

    def _gone(self, what: str) -> DeliveryError:
        return DeliveryError(
            f"A delivery of {self._hook} is about {what}, which this process does not know. "
            f"Import the module that defines it before the worker starts; if it is gone for good, cancel the delivery."
        )


def _arrived(facts: Facts, row: Body) -> Body:
    columns = facts.columns
    return {name: arrived(columns[name].type, value) for name, value in row.items() if name in columns}


def _find(book: Hooks, name: str | None) -> Hook | None:
    try:
        return None if name is None else book[name]
    except KeyError:  # it is not there any more
        return None
