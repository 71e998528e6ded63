"""Lets the reference show `Example:` sections as the examples they are.

Griffe knows `Examples:` only; the singular it would show as plain Markdown, and prompts as quotations.
"""

import re
from typing import Any

from griffe import Extension, Object

HEADING = re.compile(r"^Example:$", re.MULTILINE)


class ExampleSection(Extension):
    """Turns the singular into the plural before docstrings are read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called by Griffe for each object that it has loaded."""
        if obj.docstring:
            obj.docstring.value = HEADING.sub("Examples:", obj.docstring.value)
