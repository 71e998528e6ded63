"""Every Python block of the README and the documentation runs.

The blocks of one page run in order, as one module, in a folder of its own. A block that cannot run says why
on the line above it, `<!-- notest: why -->`, which no reader sees; there should hardly be one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .repository import ROOT, blocks, pages
from .running import run_blocks


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(
        f"page_{page.stem.replace('-', '_').lower()}",
        page,
        [block for block in blocks(page.read_text("utf-8")) if block.runs],
    )


def test_hardly_a_block_is_left_out() -> None:
    found = [block for page in pages() for block in blocks(page.read_text("utf-8")) if block.is_python]
    left_out = [block for block in found if not block.runs]
    assert len(left_out) <= len(found) // 20
