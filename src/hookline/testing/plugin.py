"""The pytest plugin: with ``hookline_strict = true``, a write that goes around hooks makes the test fail.

It is loaded by pytest wherever Hookline is installed, and does nothing unless it is asked to.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from hookline.testing.strict import strict

_OPTION = "hookline_strict"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Make the setting known."""
    parser.addini(_OPTION, "Writes that go around Hookline's hooks make a test fail.", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", f"{_OPTION}(enabled=True): whether writes that go around Hookline's hooks make this test fail"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watch a test; not its fixtures, which may fill tables as they like."""
    if not _is_strict(item):
        return (yield)
    with strict():
        return (yield)


def _is_strict(item: pytest.Item) -> bool:
    marker = item.get_closest_marker(_OPTION)
    if marker is None:
        return bool(item.config.getini(_OPTION))
    return bool(marker.kwargs.get("enabled", marker.args[0] if marker.args else True))
