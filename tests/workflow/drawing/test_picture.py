"""What every drawing shows."""

from __future__ import annotations

import pytest

from hookline.workflow.definition import Approval, Definition, Transition
from hookline.workflow.drawing.lettering import columns, wrapped
from hookline.workflow.drawing.picture import one_line, picture
from tests.workflow.drawing.definitions import PARCEL


def test_without_a_path_nothing_is_marked() -> None:
    shown = picture(PARCEL)
    assert not any(state.visited or state.current or state.gone for state in shown.states.values())
    assert [way.mark for way in shown.ways] == ["", "", ""]


def test_approvals_are_numbered_if_there_are_several() -> None:
    several = Definition("a", [Transition("a", "b", [Approval(), Approval(users=[7, 8])]), Transition("b", "c")])
    assert [way.approvals for way in picture(several).ways] == [("1. anybody", "2. user 7 or user 8"), ()]


def test_where_an_object_is_may_be_gone() -> None:
    shown = picture(PARCEL, [], "elsewhere")
    assert [name for name, state in shown.states.items() if state.gone] == ["elsewhere"]
    assert shown.states["elsewhere"].current
    assert not shown.states["elsewhere"].visited


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n b\tc", "a b c"),
        ("\x1b[31m", "\ufffd[31m"),
        ("\ud800x\ufffe", "\ufffdx\ufffd"),
        ("\u202egnp", "\ufffdgnp"),
        ("", "''"),
        ("\n", r"'\n'"),
    ],
)
def test_a_text_is_shown_on_one_line_without_commands(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_wide_letters_take_two_columns() -> None:
    assert wrapped("配送 配送 配送", 9) == ["配送 配送", "配送"]
    assert wrapped("a 配送配送", 4) == ["a", "配送", "配送"]
    assert columns("e\N{COMBINING ACUTE ACCENT}") == 1
