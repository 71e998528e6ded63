"""One body for sync and async: the same steps under each driver."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hookline import AsyncHookError
from hookline.core.run import Steps, drive, drive_async, settle


async def soon(value: Any) -> Any:
    await asyncio.sleep(0)
    if isinstance(value, Exception):
        raise value
    return value


def steps(*values: Any) -> Steps[list[Any]]:
    seen = []
    for value in values:
        try:
            seen.append((yield from settle(value)))
        except KeyError as error:
            seen.append(error.args[0])
    return seen


def test_12_the_async_driver_awaits_and_hands_errors_back_to_the_steps() -> None:
    async def main() -> Any:
        return await drive_async(steps(1, soon(2), soon(KeyError("three")), 4))

    assert asyncio.run(main()) == [1, 2, "three", 4]


def test_12_the_sync_driver_refuses_what_must_be_awaited() -> None:
    assert drive(steps(1, 2)) == [1, 2]
    with pytest.raises(AsyncHookError, match="nothing can await"):
        drive(steps(1, soon(2)))


def test_the_sync_driver_waits_in_the_way_it_is_told() -> None:
    assert drive(steps(soon("a"), soon(KeyError("b"))), asyncio.run) == ["a", "b"]
