"""The states of a field as text: what tables and definitions have instead of the field's own values."""

from __future__ import annotations

import enum
import uuid
from typing import Any

from sqlalchemy import Column, Enum, Integer, String, Uuid, inspect

from hookline.errors import WorkflowDefinitionError


class StateValues:
    """The values of one column, to and fro.

    Args:
        column: A string, an enum, an integer or a UUID; the last two may be a foreign key to a table of states.
        where: The field, for messages.

    Raises:
        WorkflowDefinitionError: It is of another type.
    """

    def __init__(self, column: Column[Any], where: str) -> None:
        self._where = where
        kind = column.type
        self._members: type[enum.Enum] | None = kind.enum_class if isinstance(kind, Enum) else None
        self._type: type = self._members or (
            str if isinstance(kind, String) else int if isinstance(kind, Integer) else uuid.UUID
        )
        if not isinstance(kind, (String, Integer, Uuid)):
            raise WorkflowDefinitionError(
                f"{where} is of type {kind!r}. The state of a workflow is a string, an enum, an integer or a UUID."
            )

    def text(self, value: Any) -> str:
        """A value as text; an object of a table of states by its key.

        Raises:
            WorkflowDefinitionError: It is no value of the field.
        """
        state = inspect(value, raiseerr=False)
        if state is not None and hasattr(state, "identity"):
            if state.identity is None or len(state.identity) != 1:
                raise WorkflowDefinitionError(f"{value!r} has no single key yet. Flush it first.")
            value = state.identity[0]
        if self._members is not None and isinstance(value, str) and value in self._members.__members__:
            return value
        if not isinstance(value, self._type) or isinstance(value, bool):
            raise WorkflowDefinitionError(
                f"{value!r} is no state of {self._where}, which has values of type {self._type.__name__}."
            )
        return value.name if isinstance(value, enum.Enum) and self._members is not None else str(value)

    def value(self, text: str) -> Any:
        """A value from its text.

        Raises:
            WorkflowDefinitionError: The field has no such value any more.
        """
        try:
            return self._members[text] if self._members is not None else self._type(text)
        except (KeyError, ValueError) as error:
            raise WorkflowDefinitionError(f"{self._where} has no value {text!r} any more.") from error

    def same(self, value: Any) -> Any:
        """A value as the field has it, whether it was given so, by the name of an enum's member, or as an object."""
        return self.value(self.text(value))
