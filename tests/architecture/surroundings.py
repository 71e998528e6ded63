"""What an example in a docstring may take for granted, so that it can be as short as what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import StaticPool
from sqlalchemy.orm import sessionmaker

from hookline import Hooks
from hookline.sqlalchemy import attach
from tests.sqlalchemy.databases import engine_for
from tests.sqlalchemy.harness import Base, SchemaModels
from tests.workflow.parcels import Parcel, courier, desk, parcels


@contextmanager
def of_workflows() -> Iterator[dict[str, object]]:
    """The names that examples of workflows know.

    `Parcel` and `shipping`, its workflow; `desk` and `courier`, who may approve; `hooks`, `SessionLocal` and `session`,
    with one parcel that is new.
    """
    engine = engine_for("sqlite://", poolclass=StaticPool)
    hooks, shipping, factory = Hooks(), parcels(), sessionmaker(engine)
    hooks.use(shipping)
    Parcel.metadata.create_all(engine)
    with attach(hooks, factory), factory() as session:
        session.add(Parcel(id=1))
        session.commit()
        yield {
            "Parcel": Parcel, "shipping": shipping, "desk": desk, "courier": courier, "hooks": hooks,
            "SessionLocal": factory, "session": session,
        }  # fmt: skip
    engine.dispose()


@contextmanager
def surroundings() -> Iterator[dict[str, object]]:
    """The names that other examples know.

    `Person`, `Company`, `Tag`, `Order` and `Line` (the models of the tests), `hooks` (empty), `SessionLocal`
    (to which `hooks` is attached) and `session` (from it, on an empty database).
    """
    engine = engine_for("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    hooks, factory = Hooks(), sessionmaker(engine)
    models = {name: model for name, model in vars(SchemaModels).items() if not name.startswith("_")}
    with attach(hooks, factory), factory() as session:
        yield models | {"hooks": hooks, "SessionLocal": factory, "session": session}
    engine.dispose()
