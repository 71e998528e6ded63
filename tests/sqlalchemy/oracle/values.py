"""Values to draw from, and arguments for new entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .schema import (
    Account,
    Car,
    Company,
    Country,
    Course,
    Document,
    Enrollment,
    Line,
    Order,
    Passport,
    Person,
    Project,
    Savings,
    Tag,
    Truck,
    Vehicle,
)

TEXTS = ("a", "b", "Ann", "Bob", " Ann ", "x")
NUMBERS = (0, 1, 2, 3, 50, 130)
FIELDS: dict[type, dict[str, Sequence[Any]]] = {
    Person: {
        "name": TEXTS,
        "age": NUMBERS,
        "nick": (*TEXTS, None),
        "bio": (*TEXTS, None),
        "street": (*TEXTS, None),
        "city": (*TEXTS, None),
        "settings": ({}, {"a": 1}, {"a": 2}, None),
    },
    Company: {"name": TEXTS, "size": NUMBERS, "rating": (1, 2, 5, 90)},
    Project: {"title": TEXTS},
    Passport: {"number": TEXTS},
    Tag: {"label": TEXTS},
    Course: {"title": TEXTS},
    Enrollment: {"grade": NUMBERS},
    Order: {"status": TEXTS},
    Line: {"price": NUMBERS, "quantity": NUMBERS, "total": NUMBERS},
    Vehicle: {"name": TEXTS},
    Car: {"name": TEXTS, "doors": NUMBERS},
    Truck: {"load": NUMBERS, "name": TEXTS},
    Account: {"balance": NUMBERS},
    Savings: {"rate": (*NUMBERS, None), "balance": NUMBERS},
    Document: {"title": TEXTS, "pages": NUMBERS},
    Country: {"name": TEXTS, "code": tuple("abcde")},
}
COUNTERS = {
    Person: "age",
    Company: "size",
    Line: "quantity",
    Account: "balance",
    Document: "pages",
    Car: "doors",
}
