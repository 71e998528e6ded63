"""Checks, hooks that edit beside them, and what no row in the database may ever show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import object_session

from hookline import ValidationError

from .schema import Company, Line, Order, Passport, Person, next_tick


@dataclass(frozen=True)
class Rule:
    """One hook of the catalogue: its function takes a change and may load and write.

    Attributes:
        forbidden: For a check: a query for the rows that would break it.
    """

    phase: str
    event: str
    target: Any
    function: Callable[[Any], None]
    forbidden: str = ""

    @property
    def name(self) -> str:
        return self.function.__name__


def refuse(entity: object, field: str, message: str) -> None:
    raise ValidationError(entity, {field: message})


# Checks -----------------------------------------------------------------------------------------


def age_in_range(change: Any) -> None:
    if not 0 <= change.new["age"] <= 100:
        refuse(change.entity, "age", "must be between 0 and 100")


def name_is_stripped(change: Any) -> None:
    if change.new["name"] != change.new["name"].strip():
        refuse(change.entity, "name", "must be stripped")


def total_is_right(change: Any) -> None:
    if change.new["total"] != change.new["price"] * change.new["quantity"]:
        refuse(change.entity, "total", "must be price times quantity")


def not_ones_own_boss(change: Any) -> None:
    if change.subject is change.object:
        refuse(change.subject, "boss", "must be somebody else")


def not_ones_own_friend(change: Any) -> None:
    if change.subject_key == change.object_key:
        refuse(change.subject, "friends", "must be somebody else")


def size_is_positive(change: Any) -> None:
    if change.new["size"] < 0:
        refuse(change.entity, "size", "must not be negative")


def rated(change: Any) -> None:
    if change.new["rating"] > change.new["size"] + 100:
        refuse(change.entity, "rating", "is too high for the size")


CHECKS = [
    Rule("check", "save", Person, age_in_range, "SELECT count(*) FROM person WHERE age < 0 OR age > 100"),
    Rule("check", "save", Person, name_is_stripped, "SELECT count(*) FROM person WHERE name <> trim(name)"),
    Rule(
        "check", "save", Line, total_is_right,
        "SELECT count(*) FROM line WHERE total IS NULL OR total <> price * quantity",
    ),
    Rule("check", "link", Person.boss, not_ones_own_boss, "SELECT count(*) FROM person WHERE boss_id = id"),
    Rule(
        "check", "link", Person.befriended_by, not_ones_own_friend,
        "SELECT count(*) FROM friendship WHERE person_id = friend_id",
    ),
    Rule("check", "save", Company, size_is_positive, "SELECT count(*) FROM company WHERE size < 0"),
    Rule("check", "save", Company, rated, "SELECT count(*) FROM company WHERE rating > size + 100"),
]  # fmt: skip


# Hooks that edit what is written ----------------------------------------------------------------


def strip_name(change: Any) -> None:
    change.new["name"] = change.new["name"].strip()


def pad_name(change: Any) -> None:
    """Breaks the rule about names, if nothing after it mends it."""
    if not change.new["name"].startswith("P"):
        change.new["name"] = f"P{change.new['name']} "


def clamp_age(change: Any) -> None:
    change.new["age"] = max(0, min(100, change.new["age"]))


def double_age(change: Any) -> None:
    if change.new["age"] > 0:
        change.entity.age = change.new["age"] * 2


def keep_city(change: Any) -> None:
    """Takes the edit of one column back."""
    if change.old["city"] is not None and change.new["city"] != change.old["city"]:
        del change.new["city"]


def full_name(change: Any) -> None:
    """Edits a column that has another name in the table."""
    change.new["nick"] = change.new["name"].upper()


def right_total(change: Any) -> None:
    change.new["total"] = change.new["price"] * change.new["quantity"]


# Hooks that write other entities ----------------------------------------------------------------


def company_ages_people(change: Any) -> None:
    for person in change.entity.employees:
        person.age = 100 + (change.new.get("size") or 0)


def person_sizes_company(change: Any) -> None:
    if change.entity.employer is not None and isinstance(change.new["age"], int):
        change.entity.employer.size = change.new["age"] % 3


def order_adds_quantity(change: Any) -> None:
    for line in change.entity.lines:
        if line.quantity is not None and line.quantity < 4:
            line.quantity += 1


def line_names_order(change: Any) -> None:
    if change.entity.order is not None:
        change.entity.order.status = f"{change.new['quantity']} of {change.new['price']}"


def order_gets_a_line(change: Any) -> None:
    change.entity.lines.append(Line(price=2, quantity=2, total=4))


def person_takes_passport_away(change: Any) -> None:
    session = object_session(change.entity)
    assert session is not None
    if change.entity.passport is not None and inspect(change.entity.passport).persistent:
        session.delete(change.entity.passport)


def person_gets_passport(change: Any) -> None:
    session = object_session(change.entity)
    assert session is not None
    session.add(Passport(number=f"n{next_tick()}", person=change.entity))


def nick_from_key(change: Any) -> None:
    change.entity.nick = f"person {change.key}"


def hired(change: Any) -> None:
    change.subject.nick = "hired"


def fired(change: Any) -> None:
    if not inspect(change.subject).deleted and change.subject not in inspect(change.subject).session.deleted:
        change.subject.bio = "fired"


def rate_company(change: Any) -> None:
    if change.entity.rating < 9:
        change.entity.rating += 1


def boss_ages_with_staff(change: Any) -> None:
    """Writes up the tree."""
    boss = change.entity.boss
    if boss is not None and boss is not change.entity and (boss.age or 0) < 20:
        boss.age = (boss.age or 0) + 1


EDITS = [
    Rule("before", "save", Person, strip_name),
    Rule("before", "save", Person, pad_name),
    Rule("before", "save", Person, clamp_age),
    Rule("before", "insert", Person, double_age),
    Rule("before", "update", Person, keep_city),
    Rule("before", "save", Person, full_name),
    Rule("before", "save", Line, right_total),
    Rule("before", "save", Company, company_ages_people),
    Rule("before", "update", Person, person_sizes_company),
    Rule("before", "save", Order, order_adds_quantity),
    Rule("before", "save", Line, line_names_order),
    Rule("before", "insert", Order, order_gets_a_line),
    Rule("before", "delete", Person, person_takes_passport_away),
    Rule("before", "insert", Person, person_gets_passport),
    Rule("after", "insert", Person, nick_from_key),
    Rule("before", "link", Person.employer, hired),
    Rule("before", "unlink", Person.employer, fired),
    Rule("before_commit", "save", Company, rate_company),
    Rule("before", "update", Person, boss_ages_with_staff),
]
CATALOGUE = {rule.name: rule for rule in CHECKS + EDITS}
