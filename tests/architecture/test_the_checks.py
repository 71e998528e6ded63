"""The checks of this folder find what they look for."""

from __future__ import annotations

from pathlib import Path

import pytest

from .repository import blocks
from .running import run_blocks

PAGE = """
# A page

```python
x = 1
```

<!-- notest: it needs a moon -->
```python
moon
```

1. A list
    ```python
    async def y(): return x + 1
    assert await y() == 2
    ```

```console
$ make test
```
"""


def test_the_blocks_of_a_page_are_found() -> None:
    assert [(block.info, block.line, block.runs) for block in blocks(PAGE)] == [
        ("python", 5, True),
        ("python", 10, False),
        ("python", 15, True),
        ("console", 20, False),
    ]


def test_blocks_share_a_namespace_and_may_await() -> None:
    run_blocks("page", Path("page.md"), [block for block in blocks(PAGE) if block.runs])


def test_a_failing_block_shows_the_line_of_the_page() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_blocks("page", Path("page.md"), blocks("# A page\n\n```python\ny = 0\n1 / y\n```\n"))
    assert caught.traceback[-1].lineno + 1 == 5
    assert Path(caught.traceback[-1].path).name == "page.md"


def test_a_block_without_an_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="line 1 does not end"):
        list(blocks("```python\nx = 1\n"))
