"""What hooks were told of is taken off what was captured: by row, once each, by equal values first."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hookline.sqlalchemy.capturing import Told, untold

writes = st.builds(
    Told,
    table=st.sampled_from(["person", "pet"]),
    operation=st.sampled_from(["insert", "update", "delete"]),
    key=st.tuples(st.integers(1, 3)),
    old=st.none() | st.fixed_dictionaries({"age": st.integers(0, 3), "name": st.just("Ann")}),
    new=st.none() | st.fixed_dictionaries({"age": st.integers(0, 3), "name": st.just("Ann")}),
)
several = st.lists(writes, max_size=12)


def counted(some: list[Told]) -> Counter[tuple[object, ...]]:
    return Counter(one[:3] for one in some)


def in_full(one: Told) -> tuple[object, ...]:
    return (*one[:3], *(tuple(sorted((values or {}).items())) for values in one[3:]))


@given(st.lists(st.tuples(writes, st.booleans()), max_size=12))
def test_as_many_are_left_as_were_not_told(some: list[tuple[Told, bool]]) -> None:
    captured, told = [one for one, _ in some], [one for one, was_told in some if was_told]
    assert counted(untold(captured, told)) == counted(captured) - counted(told)


@given(several, several)
def test_what_is_left_is_in_order(captured: list[Told], told: list[Told]) -> None:
    rest = iter(captured)
    assert all(any(one is other for other in rest) for one in untold(captured, told))


@given(several)
def test_what_was_told_word_by_word_is_never_left(captured: list[Told]) -> None:
    assert untold(captured, captured) == []


@given(several, several)
def test_nothing_told_leaves_everything(captured: list[Told], told: list[Told]) -> None:
    assert untold(captured, []) == captured
    assert untold([], told) == []


@given(*[several.map(lambda some: [one for one in some if one.old and one.new])] * 2)
def test_rows_with_the_values_told_go_first(captured: list[Told], extra: list[Told]) -> None:
    """Whatever else was captured of the same rows: as many of each as were told, with the same values, are gone."""
    together = [*extra, *captured]
    full, told = Counter(map(in_full, together)), Counter(map(in_full, captured))
    left = Counter(map(in_full, untold(together, captured)))
    assert left == full - told


def update(age: int, **more: object) -> Told:
    return Told("person", "update", (7,), new={"age": age, **more})


def test_the_earliest_goes_if_no_values_agree() -> None:
    assert untold([update(1), update(2), update(3)], [update(9)]) == [update(2), update(3)]
    assert untold([update(1), update(2), update(3)], [Told("person", "update", (7,))]) == [update(2), update(3)]


def test_what_was_told_is_found_in_the_order_in_which_it_happened() -> None:
    link = ("friendship", (1, 2))
    unset, set_ = Told(link[0], "delete", link[1]), Told(link[0], "insert", link[1])
    raw = unset._replace(old={"by": "raw SQL"})
    assert untold([raw, set_, unset], [set_, unset]) == [raw]


def test_values_that_were_not_told_do_not_matter() -> None:
    captured = [update(1, name="Ann"), update(2, name="Bob")]
    assert untold(captured, [Told("person", "update", (7,), new={"name": "Bob"})]) == [captured[0]]


def test_another_key_table_or_operation_is_another_row() -> None:
    row = update(1)
    for other in (row._replace(key=(8,)), row._replace(table="pet"), row._replace(operation="insert")):
        assert untold([row], [other]) == [row]
