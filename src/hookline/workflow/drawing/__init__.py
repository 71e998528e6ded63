"""Drawings of a workflow: for a page that knows Mermaid, as a picture by itself, and for the terminal."""

from hookline.workflow.drawing.mermaid import mermaid
from hookline.workflow.drawing.svg import svg
from hookline.workflow.drawing.text import text

__all__ = ["mermaid", "svg", "text"]
