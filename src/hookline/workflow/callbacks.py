"""Callbacks on transitions and completion, bound at run time: for all objects, or for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hookline.errors import WorkflowStoreError

if TYPE_CHECKING:
    from hookline.core.registry import Hooks


class Callbacks:
    """What `Workflow` and `Progress` have in common: methods of the names that django-river has given them.

    A callback is marked with `Hooks.callback`, and asks for what it needs by name: what any hook may ask for, or
    ``workflow_object``, ``field_name`` and ``transition_approval``. It is kept by the registrations that the rule book
    uses, in memory or in a database; one for an object goes with the object.
    """

    def hook_pre_transition(
        self, callback: Any, source_state: Any = None, destination_state: Any = None, **options: Any
    ) -> Any:
        """Call a function before a transition; it may refuse.

        Args:
            callback: The function, or its name.
            source_state: Only transitions that leave this state.
            destination_state: Only those that enter this one.
            **options: ``by``, ``session``, ``order`` and ``category`` of `Registrations.add`; ``registrations``, where
                it is kept, if the rule book uses several.

        Returns:
            The registration.

        Raises:
            WorkflowStoreError: The rule book uses no registrations.
        """
        return self._bind(callback, "before", "transition", source_state, destination_state, options)

    def hook_post_transition(
        self, callback: Any, source_state: Any = None, destination_state: Any = None, **options: Any
    ) -> Any:
        """Call a function after a transition, in its transaction; arguments as of `hook_pre_transition`."""
        return self._bind(callback, "after", "transition", source_state, destination_state, options)

    def hook_pre_complete(self, callback: Any, **options: Any) -> Any:
        """Call a function before an object enters a final state; arguments as of `hook_pre_transition`."""
        return self._bind(callback, "before", "complete", None, None, options)

    def hook_post_complete(self, callback: Any, **options: Any) -> Any:
        """Call a function after an object has entered a final state; arguments as of `hook_pre_transition`."""
        return self._bind(callback, "after", "complete", None, None, options)

    def _bind(
        self, callback: Any, phase: str, event: str, source: Any, destination: Any, options: dict[str, Any]
    ) -> Any:
        flow, instance = self._bound_to()
        given = options.pop("registrations", None)
        registrations = _only(flow.book, flow) if given is None else given
        ends = {"leaves": source, "enters": destination}
        parts = [{name: flow.state(state)} for name, state in ends.items() if state is not None]
        when = None if not parts else parts[0] if len(parts) == 1 else {"all": parts}
        return registrations.add(callback, phase, event, flow.attribute, instance=instance, when=when, **options)

    def _bound_to(self) -> tuple[Any, Any]:
        """The workflow, and the object or None."""
        return self, None


def _only(book: Hooks | None, flow: Any) -> Any:
    kept = [one for one in (() if book is None else book.sources.all) if hasattr(one, "add")]
    if len(kept) != 1:
        if kept:
            raise WorkflowStoreError(f"The rule book of {flow!r} uses several registrations: say registrations=...")
        raise WorkflowStoreError(
            f"The rule book of {flow!r} uses no registrations, so the callback cannot be kept. Write "
            f"hooks.use(DatabaseRegistrations(engine)) or hooks.use(MemoryRegistrations()) first."
        )
    return kept[0]
