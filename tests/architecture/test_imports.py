"""Imports point one way: towards the core, which knows no database, no framework and no event loop."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .repository import file_of, modules, tree_of


@dataclass(frozen=True)
class Room:
    """What the modules of one part of the house may import, besides the standard library and each other.

    Attributes:
        ours: Prefixes of modules of this package; `hookline` is the front door, not all that is behind it.
        theirs: Top-level names of other projects.
        for_types: Prefixes that may be imported under `if TYPE_CHECKING:` only.
    """

    ours: frozenset[str] = frozenset()
    theirs: frozenset[str] = frozenset()
    for_types: frozenset[str] = frozenset()


def room(*ours: str, theirs: tuple[str, ...] = (), for_types: tuple[str, ...] = ()) -> Room:
    return Room(frozenset(ours), frozenset(theirs), frozenset(for_types))


ROOMS = {
    "hookline": room("hookline.core", "hookline.errors"),
    "hookline.errors": room(for_types=("hookline.core",)),
    "hookline.core": room("hookline.errors"),
    "hookline.registrations": room("hookline", "hookline.core", "hookline.errors", theirs=("sqlalchemy",)),
    "hookline.sqlalchemy": room(
        "hookline.core", "hookline.errors", theirs=("sqlalchemy", "sqlglot", "msgspec", "psycopg")
    ),
    "hookline.workflow": room("hookline.core", "hookline.errors", theirs=("sqlalchemy",)),
    # What webhooks and streams need is imported when one is made: see `needed`.
    "hookline.http": room(
        "hookline.core",
        "hookline.errors",
        "hookline.sqlalchemy",  # what it serves are mapped classes
        theirs=("sqlalchemy", "fastapi", "starlette", "pydantic", "pydantic_core", "anyio", "typing_extensions"),
    ),
    "hookline.durable": room("hookline", "hookline.core", "hookline.errors", for_types=("httpx", "nats")),
    "hookline.cli": room("hookline", "hookline.core", "hookline.durable", "hookline.errors", theirs=("typer", "rich")),
    "hookline.testing": room("hookline", "hookline.core", "hookline.errors", theirs=("pytest",)),
}


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    for_types: bool


def imports(module: str) -> Iterator[Import]:
    """All imports of a module, those inside functions too."""
    yield from _imports(tree_of(module), module, for_types=False)


def _imports(node: ast.AST, module: str, *, for_types: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, for_types) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        origin = _origin(node, module)
        # `from package import submodule` is an import of the submodule.
        found = {f"{origin}.{alias.name}" for alias in node.names} & set(modules()) or {origin}
        yield from (Import(name, node.lineno, for_types) for name in sorted(found))
    for child in ast.iter_child_nodes(node):
        under = isinstance(node, ast.If) and child in node.body and "TYPE_CHECKING" in ast.unparse(node.test)
        yield from _imports(child, module, for_types=for_types or under)


def _origin(node: ast.ImportFrom, module: str) -> str:
    if not node.level:
        return node.module or ""
    package = module if file_of(module).name == "__init__.py" else module.rpartition(".")[0]
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def is_within(module: str, prefixes: frozenset[str]) -> bool:
    return any(module == prefix or (prefix != "hookline" and module.startswith(f"{prefix}.")) for prefix in prefixes)


@pytest.mark.parametrize("module", modules())
def test_imports_point_one_way(module: str) -> None:
    name = room_of(module)
    assert name in ROOMS, f"{name} is new: say in ROOMS what it may import"
    rules = ROOMS[name]
    ours = rules.ours | ({name} if name != "hookline" else frozenset())
    for found in imports(module):
        top = found.module.partition(".")[0]
        if top == "hookline":
            allowed = ours | (rules.for_types if found.for_types else frozenset())
            assert is_within(found.module, allowed), f"{module}:{found.line} imports {found.module}"
        else:
            allowed = rules.theirs | (rules.for_types if found.for_types else frozenset())
            assert top in sys.stdlib_module_names or top in allowed, f"{module}:{found.line} imports {found.module}"


def test_importing_hookline_loads_the_standard_library_only() -> None:
    loaded = loaded_by("import hookline")
    strangers = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"hookline"}
    assert strangers == set()
    assert [name for name in loaded if name.startswith(("hookline.sqlalchemy", "hookline.testing"))] == []


def test_registrations_in_memory_need_no_sqlalchemy() -> None:
    loaded = loaded_by("from hookline.registrations import MemoryRegistrations; MemoryRegistrations()")
    assert [name for name in loaded if name.partition(".")[0] == "sqlalchemy"] == []


def test_importing_durable_loads_the_standard_library_only() -> None:
    loaded = loaded_by("import hookline.durable")
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"hookline"} == set()


def test_importing_hookline_loads_no_event_loop() -> None:
    assert "asyncio" not in loaded_by("import hookline")


def loaded_by(statement: str) -> list[str]:
    """The modules that a statement loads in a new interpreter, beyond those that it starts with."""
    program = (
        "import sys, json; before = set(sys.modules); "
        f"{statement}; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(ran.stdout)
    return names
