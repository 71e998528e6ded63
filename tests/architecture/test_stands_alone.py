"""The repository needs nothing that is not in it, and runs no code that it was not given as code."""

from __future__ import annotations

import ast

import pytest

from .repository import ROOT, modules, tracked_files, tree_of

# In pieces, so that this file may be among those it reads.
ELSEWHERE = [
    "../" + "shared",
    "/" + "work/",
    "/" + "tmp/scratch",
    "DESIGN" + ".md",
    "STYLE" + ".md",
    "DECISIONS" + ".md",
]
REGISTRIES = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "npmjs" + ".",
    "deb.debian" + ".org",
    "index" + "-url",
]
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve"}


@pytest.mark.parametrize("word", [*ELSEWHERE, *REGISTRIES])
def test_no_file_points_elsewhere(word: str) -> None:
    assert [str(file.relative_to(ROOT)) for file in tracked_files() if word.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("module", modules())
def test_no_code_is_made_from_data(module: str) -> None:
    for node in ast.walk(tree_of(module)):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                assert name not in UNSAFE_CALLS, f"{module}:{node.lineno}"
            case ast.Import(names=names):
                assert not UNSAFE_MODULES & {alias.name.partition(".")[0] for alias in names}, f"{module}:{node.lineno}"
            case ast.ImportFrom(module=str(origin)):
                assert origin.partition(".")[0] not in UNSAFE_MODULES, f"{module}:{node.lineno}"
