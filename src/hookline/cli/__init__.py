"""The command line: workers, and looking after deliveries. One file per verb."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; what ``hookline`` and ``python -m hookline.cli`` start."""
    try:
        from hookline.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "typer"):
            raise
        sys.exit("The command line needs Rich and Typer. Install them with: pip install 'hookline[cli]'")
    app()
