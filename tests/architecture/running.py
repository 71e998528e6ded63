"""Runs the code that documentation shows."""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from .repository import Block


def run_blocks(name: str, file: Path, blocks: Iterable[Block], **namespace: object) -> None:
    """Run blocks one after the other as one module; an `await` outside a function may be used.

    Tracebacks show the file and line that the code stands in.
    """
    module = ModuleType(name)
    vars(module).update(namespace, __file__=str(file))
    sys.modules[name] = module  # SQLAlchemy looks a model's annotations up there
    try:
        with asyncio.Runner() as runner:
            try:
                for block in blocks:
                    _run(compiled(block, file), module, runner)
            finally:
                _dispose_engines(module, runner)
    finally:
        del sys.modules[name]
    vars(module).clear()
    gc.collect()  # what was not closed complains now, and here


def compiled(block: Block, file: Path) -> CodeType:
    """The block's code, with the line numbers of the file that it stands in."""
    code = "\n" * (block.line - 1) + block.code
    return compile(code, str(file), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def _run(code: CodeType, module: ModuleType, runner: asyncio.Runner) -> None:
    if code.co_flags & inspect.CO_COROUTINE:
        runner.run(FunctionType(code, vars(module))())
    else:
        exec(code, vars(module))


def _dispose_engines(module: ModuleType, runner: asyncio.Runner) -> None:
    for value in list(vars(module).values()):
        if isinstance(value, Engine):
            value.dispose()
        elif isinstance(value, AsyncEngine):
            runner.run(value.dispose())
