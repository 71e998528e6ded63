"""Replaced when the drawings come."""


def mermaid(*a: object) -> str:
    """M."""
    return str(a)


svg = text = mermaid
