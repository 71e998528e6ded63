"""Each error's code is an anchor in docs/errors.md, and each anchor there is an error's code."""

from __future__ import annotations

import inspect
import re

import hookline.errors as errors

from .repository import DOCS

HEADING = re.compile(r"^#{2,6} +(?P<title>.*?)(?: *\{ *(?:[^}]* )?#(?P<anchor>[\w-]+)[^}]*\})?$", re.MULTILINE)
SLUG = re.compile(r"`?(?P<slug>[a-z]+(?:-[a-z]+)*)`?")


def codes() -> dict[str, str]:
    """The name of the class that each code belongs to."""
    found: dict[str, str] = {}
    for name, thing in vars(errors).items():
        if (
            inspect.isclass(thing)
            and issubclass(thing, (errors.HooklineError, errors.HooklineWarning))
            and "code" in vars(thing)
        ):
            assert thing.code not in found, f"{name} and {found[thing.code]} share the code {thing.code!r}"
            found[thing.code] = name
    return found


def anchors() -> set[str]:
    """The headings that are an error's: `## Some words { #code }`, or the code alone, `## code`."""
    found = set()
    for heading in HEADING.finditer((DOCS / "errors.md").read_text("utf-8")):
        slug = SLUG.fullmatch(heading["title"])
        if heading["anchor"] or slug:
            found.add(heading["anchor"] or slug["slug"])  # type: ignore[index]
    return found


def test_every_code_has_its_heading() -> None:
    assert set(codes()) - anchors() == set()


def test_every_heading_is_a_code() -> None:
    assert anchors() - set(codes()) == set()


def test_every_error_has_a_code_of_its_own() -> None:
    classes = {
        name
        for name, thing in vars(errors).items()
        if inspect.isclass(thing) and issubclass(thing, errors.HooklineError)
    }
    assert classes <= set(codes().values())
