"""Other projects' packages, imported only where somebody uses them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hookline.errors import UsageError


def needed(module: str, extra: str, whose: str) -> Any:
    """A module that an extra brings.

    Args:
        module: Its dotted name.
        extra: The extra.
        whose: What needs it, for errors.

    Raises:
        UsageError: It is not installed.

    Example:
        >>> needed("json", "standard", "this example").dumps([1])
        '[1]'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{whose} needs {module.partition('.')[0]}: pip install 'hookline[{extra}]'. ({error})"
        ) from error
