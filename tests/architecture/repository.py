"""Where things are, for tests that read the project itself."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
DOCS = ROOT / "docs"


def modules() -> list[str]:
    """The dotted names of all modules of the package, from their files."""
    return sorted(_dotted(file) for file in (SOURCE / "hookline").rglob("*.py"))


def file_of(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def tree_of(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text("utf-8"))


def pages() -> list[Path]:
    """All Markdown that a user or a contributor reads."""
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/**/*.md")])


def tracked_files() -> list[Path]:
    """What git would publish: tracked files, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        info: What follows the fence: a language.
        code: What is in it, without its indentation.
        line: The first line of the code, counted from 1.
        excuse: Why it cannot run: `<!-- notest: why -->` on the line above the fence.
    """

    info: str
    code: str
    line: int
    excuse: str | None = None

    @property
    def is_python(self) -> bool:
        return self.info.split(" ")[0] in ("python", "py", "python3")

    @property
    def runs(self) -> bool:
        return self.is_python and self.excuse is None


EXCUSE = re.compile(r"^\s*<!-- notest: (?P<why>.+) -->\s*$")
FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ ]*(?P<info>[^`\n]*)$")


def blocks(text: str) -> Iterator[Block]:
    """The fenced code blocks of a text, in order."""
    lines = iter(enumerate(text.splitlines(), start=1))
    excuse: re.Match[str] | None = None
    for number, line in lines:
        if not (opening := FENCE.match(line)):
            excuse = EXCUSE.match(line)
            continue
        indent, fence = len(opening["indent"]), opening["fence"]
        body: list[str] = []
        for _, inside in lines:
            if inside.strip() == fence:
                break
            body.append(inside[indent:] if not inside[:indent].strip() else inside)
        else:
            raise ValueError(f"the code block that starts in line {number} does not end")
        yield Block(opening["info"].strip(), "\n".join(body) + "\n", number + 1, excuse and excuse["why"])
        excuse = None


def _dotted(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
