"""Every example in a docstring runs: prompts (`>>>`) as doctests, fenced Python blocks as modules.

An example knows the names of its module, and those of `surroundings`.
"""

from __future__ import annotations

import ast
import doctest
import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from .repository import Block, blocks, file_of, modules, tree_of
from .running import run_blocks

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings(module: str) -> Iterator[tuple[int, str]]:
    """The first line and the docstring of everything in a module that has one."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text


def fenced() -> dict[str, tuple[str, list[Block]]]:
    """The blocks of each docstring that has any, by a name for the test."""
    found = {}
    for module in modules():
        for line, text in docstrings(module):
            if runnable := [
                replace(block, line=line + block.line - 1)
                for block in blocks(text)
                if block.runs and ">>>" not in block.code
            ]:
                found[f"{module}:{line}"] = module, runnable
    return found


@pytest.fixture
def names(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    from .surroundings import of_workflows, surroundings

    monkeypatch.chdir(tmp_path)
    with (of_workflows if module.startswith("hookline.workflow") else surroundings)() as names:
        yield names


@pytest.mark.parametrize("module", modules())
def test_prompts_show_what_happens(module: str, names: dict[str, object]) -> None:
    # What a module has itself goes before what surrounds it.
    imported = importlib.import_module(module)
    result = doctest.testmod(imported, globs=names | vars(imported), optionflags=OPTIONS)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples in {module}: see the output above"


@pytest.mark.parametrize(("module", "found"), fenced().values(), ids=fenced())
def test_fenced_blocks_run(module: str, found: list[Block], names: dict[str, object]) -> None:
    borrowed = {
        name: value for name, value in vars(importlib.import_module(module)).items() if not name.startswith("__")
    }
    run_blocks(f"docstring_of_{module.replace('.', '_')}", file_of(module), found, **(names | borrowed))


@pytest.mark.parametrize("module", modules())
def test_an_example_is_one_that_runs(module: str) -> None:
    for line, text in docstrings(module):
        _, heading, example = text.partition("\nExample:\n")
        if heading:
            assert ">>>" in example or any(block.runs for block in blocks(example)), f"{module}:{line}"
