"""What waits for whom: one query for any number of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from hookline.workflow.entries import PENDING
from hookline.workflow.keys import as_one

if TYPE_CHECKING:
    from hookline.workflow.users import Actor
    from hookline.workflow.workflow import Workflow


class _FromLeft(sa.Join):
    """A join that is begun with its left side: there are few approvers and many steps, which SQLite cannot know."""

    inherit_cache = True


@compiles(_FromLeft, "sqlite")
def _in_sqlite(join: _FromLeft, compiler: Any, **options: Any) -> str:
    left, right = (compiler.process(side, **options) for side in (join.left, join.right))
    return f"{left} CROSS JOIN {right} ON {compiler.process(join.onclause, **options | {'asfrom': False})}"


def awaiting(flow: Workflow, actor: Actor) -> sa.Select[Any]:
    """The objects that wait for somebody: see `Workflow.awaiting`."""
    steps, approvers = flow.tables.steps, flow.tables.approvers
    kinds = [("permission", actor.permissions), ("group", actor.groups), ("user", {actor.id}), ("anybody", {""})]
    may = [sa.and_(approvers.c.kind == kind, approvers.c.who.in_(sorted(names))) for kind, names in kinds if names]
    rule = (approvers.c.version == steps.c.version) & (approvers.c.rule == steps.c.rule)
    waiting = (
        sa.select(*flow.tables.key)
        .select_from(_FromLeft(approvers, steps, rule))
        .where(steps.c.status == sa.literal_column(f"'{PENDING}'"), sa.or_(*may))
    )
    return sa.select(flow.model).where(as_one(flow.mapper.base_mapper.primary_key).in_(waiting))
