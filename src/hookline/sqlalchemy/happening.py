"""Steps of workflows: the hooks around what a workflow writes for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import attributes

from hookline.core.change import Change
from hookline.core.events import PHASES
from hookline.core.run import Steps, run_phase
from hookline.core.step import StepChange
from hookline.errors import AsyncHookError, PhaseError, ValidationError
from hookline.sqlalchemy.relations import RowEnd
from hookline.sqlalchemy.writing import Write

if TYPE_CHECKING:
    from hookline.sqlalchemy.host import SessionHost


class Happening(Write):
    """Some steps of objects through their workflows.

    Args:
        host: The session.
        steps: The steps, in order.
    """

    def __init__(self, host: SessionHost, steps: Sequence[StepChange]) -> None:
        super().__init__(host)
        self.steps: list[Change[Any]] = list(steps)
        tx, control = self.tx, self.tx.book.surroundings.control
        for step in steps:
            step.tx, step.control = tx, control
            step.caused_by(host.origin)
            self.check_depth(step)
            self._refuse_asynchronous(step)

    def _refuse_asynchronous(self, step: StepChange) -> None:
        for phase in PHASES if not self.host.asynchronous else ():
            for hook in self.plan.for_step(phase, step.event, step.flow, step.model):
                if hook.awaited:
                    raise AsyncHookError(
                        f"{hook} is async, but this is a sync session, where nothing can await. Write `def` instead of "
                        f"`async def`, or go on through an AsyncSession: "
                        f"await session.run_sync(lambda _: workflow.of(entity).approve(user))."
                    )

    def around(self, write: Callable[[], None]) -> Steps[None]:
        """Run the hooks, and what writes the steps between them.

        Raises:
            ValidationError: All that `before` and `check` hooks refused; nothing is written then.
        """
        yield from self.ahead()
        write()
        yield from self.behind()

    def ahead(self) -> Steps[None]:
        """Run `before` and `check`."""
        refusals: list[ValidationError] = []
        stir, scope = self.host.stir, self.host.scope()
        stir.reset()
        yield from run_phase(self.tx, self.plan, "before", self.steps, scope, refusals=refusals, observer=stir)
        stir.finish()
        sizes = self.pending_sizes()
        yield from run_phase(self.tx, self.plan, "check", self.steps, scope, refusals=refusals)
        if refusals:
            raise ValidationError.gather(refusals)
        if self.pending_sizes() != sizes:
            raise PhaseError(
                "A `check` hook added, deleted or edited objects, but it is there to look. Move it to a `before`, "
                "`after` or `before_commit` hook."
            )

    def behind(self) -> Steps[None]:
        """Run `after`, and keep the steps for the commit phases."""
        self.tx.record(self.steps)
        stir = self.host.stir
        stir.reset()
        yield from run_phase(self.tx, self.plan, "after", self.steps, self.host.scope(), observer=stir)
        stir.finish()


def row_of(host: SessionHost, entity: Any) -> RowEnd:
    """The row of an object, as a step has it."""
    state = attributes.instance_state(entity)
    facts = host.schema.facts(state.class_)
    row = RowEnd(host, facts, facts.key_names, state, facts.key_of(state) or ())
    row.find()  # so that it lives as long as the step
    return row


def row_at(host: SessionHost, model: type, key: tuple[Any, ...]) -> RowEnd:
    """The same by its key."""
    facts = host.schema.facts(model)
    return RowEnd(host, facts, facts.key_names, None, key)
