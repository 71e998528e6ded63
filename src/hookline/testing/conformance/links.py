"""Lines 10 and 11: links, deletes and cascades."""

from __future__ import annotations

from typing import Any

import pytest

from hookline import RelationSet, ValidationError
from hookline.testing.recorder import Call
from hookline.testing.stage import Stage, scenario


def _ends(calls: list[Call]) -> list[tuple[str, Any, Any]]:
    return sorted((call.event, call.subject_key, call.object_key) for call in calls)


class TestDeletesAndCascades:
    """10. Deleting an entity unlinks it; cascades fire hooks for what they delete."""

    @pytest.mark.parametrize("phase", ["before", "check", "after", "before_commit", "after_commit"])
    @scenario
    async def test_10_deleting_the_subject_unlinks(self, stage: Stage, phase: str) -> None:
        Person, Tag, Company = stage.models.Person, stage.models.Tag, stage.models.Company
        async with stage.outside() as session:
            ann, bob, acme, tag = Person(name="Ann"), Person(name="Bob"), Company(name="Acme"), Tag(label="t")
            await session.add(ann, bob, acme, tag)
            await session.link(ann, "boss", bob)
            await session.link(ann, "employer", acme)
            await session.link(ann, "tags", tag)
            await session.commit()
            ann_key, bob_key, acme_key, tag_key = map(stage.harness.key, (ann, bob, acme, tag))
        bosses = stage.record(phase, "unlink", Person.boss)
        employers = stage.record(phase, "unlink", Company.employees)
        tags = stage.record(phase, "unlink", Person.tags)
        async with stage.session() as session:
            await session.delete(await session.get(Person, ann_key))
            await session.commit()
        assert _ends(bosses) == [("unlink", ann_key, bob_key)]
        assert _ends(employers) == [("unlink", acme_key, ann_key)]
        assert _ends(tags) == [("unlink", ann_key, tag_key)]

    @pytest.mark.parametrize("phase", ["before", "check", "after", "before_commit", "after_commit"])
    @scenario
    async def test_10_deleting_the_object_unlinks(self, stage: Stage, phase: str) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag
        async with stage.outside() as session:
            ann, bob, cid, tag = Person(name="Ann"), Person(name="Bob"), Person(name="Cid"), Tag(label="t")
            await session.add(ann, bob, cid, tag)
            await session.link(ann, "boss", bob)
            await session.link(cid, "boss", bob)
            await session.link(ann, "tags", tag)
            await session.commit()
            ann_key, bob_key, cid_key, tag_key = map(stage.harness.key, (ann, bob, cid, tag))
        bosses = stage.record(phase, "unlink", Person.boss)
        tags = stage.record(phase, "unlink", Person.tags)
        async with stage.session() as session:
            await session.delete(await session.get(Person, bob_key))
            await session.delete(await session.get(Tag, tag_key))
            await session.commit()
        assert _ends(bosses) == sorted([("unlink", ann_key, bob_key), ("unlink", cid_key, bob_key)])
        assert _ends(tags) == [("unlink", ann_key, tag_key)]

    @scenario
    async def test_10_an_unlink_by_deletion_may_be_refused(self, stage: Stage) -> None:
        Person = stage.models.Person
        async with stage.outside() as session:
            ann, bob = Person(name="Ann"), Person(name="Bob")
            await session.add(ann, bob)
            await session.link(ann, "boss", bob)
            await session.commit()
            bob_key = stage.harness.key(bob)

        @stage.hook("check", "unlink", Person.boss)
        async def keep_bosses(change: Any) -> None:
            raise ValidationError(change.subject, {"boss": "must stay"})

        async with stage.session() as session:
            await session.delete(await session.get(Person, bob_key))
            with pytest.raises(ValidationError):
                await session.commit()
            await session.rollback()
        assert len(await stage.harness.rows(Person)) == 2

    @scenario
    async def test_10_cascades_fire_hooks_for_what_they_delete(self, stage: Stage) -> None:
        Order, Line = stage.models.Order, stage.models.Line
        async with stage.outside() as session:
            order = Order()
            lines = [Line(sku="a", quantity=1), Line(sku="b", quantity=2)]
            await session.add(order)
            for line in lines:
                await session.link(order, "lines", line)
            await session.commit()
            key, line_keys = stage.harness.key(order), sorted(map(stage.harness.key, lines))
        calls = {
            phase: stage.record(phase, "delete", Line)
            for phase in ("before", "check", "after", "before_commit", "after_commit")
        }
        links = stage.record("after_commit", "unlink", Order.lines)
        async with stage.session() as session:
            await session.delete(await session.get(Order, key))
            await session.commit()
        for phase, deletes in calls.items():
            assert sorted(call.key for call in deletes) == line_keys, phase
            assert sorted(call.old["sku"] for call in deletes if call.old) == ["a", "b"], phase
        assert _ends(links) == [("unlink", key, line_key) for line_key in line_keys]

    @scenario
    async def test_10_an_orphan_is_a_delete(self, stage: Stage) -> None:
        Order, Line = stage.models.Order, stage.models.Line
        async with stage.outside() as session:
            order, line = Order(), Line(sku="a")
            await session.add(order)
            await session.link(order, "lines", line)
            await session.commit()
            key, line_key = stage.harness.key(order), stage.harness.key(line)
        calls = stage.record_all("write", Line)
        unlinks = stage.record_all("unlink", Order.lines)
        async with stage.session() as session:
            order, line = await session.get(Order, key), await session.get(Line, line_key)
            await session.unlink(order, "lines", line)
            await session.commit()
        phases = ["before", "check", "after", "before_commit", "after_commit"]
        assert [(call.phase, call.event, call.key) for call in calls] == [
            (phase, "delete", line_key) for phase in phases
        ]
        assert [(call.phase, call.subject_key, call.object_key) for call in unlinks] == [
            (phase, key, line_key) for phase in phases
        ]

    @scenario
    async def test_10_the_row_of_an_unlinked_subject_is_an_update(self, stage: Stage) -> None:
        """A many-to-one link is a column of the subject: deleting the object updates that row."""
        Person, Company = stage.models.Person, stage.models.Company
        async with stage.outside() as session:
            ann, acme = Person(name="Ann"), Company(name="Acme")
            await session.add(ann, acme)
            await session.link(ann, "employer", acme)
            await session.commit()
            ann_key, acme_key = stage.harness.key(ann), stage.harness.key(acme)
        calls = stage.record("after_commit", "write", Person)
        async with stage.session() as session:
            await session.delete(await session.get(Company, acme_key))
            await session.commit()
        assert [(call.event, call.key) for call in calls] == [("update", ann_key)]


DOORS = ["attribute", "key", "collection"]


class TestLinks:
    """11. A link is one change, whichever side it was set from; a hook may name either side."""

    async def _set(self, session: Any, door: str, ann: Any, acme: Any, key: Any) -> None:
        if door == "attribute":
            await session.link(ann, "employer", acme)
        elif door == "key":
            await session.link_by_key(ann, "employer", key)
        else:
            await session.link(acme, "employees", ann)

    @pytest.mark.parametrize("door", DOORS)
    @scenario
    async def test_11_setting_it_is_one_link_for_either_side(self, stage: Stage, door: str) -> None:
        Person, Company = stage.models.Person, stage.models.Company
        ann_key, acme_key = await stage.given(Person(name="Ann")), await stage.given(Company(name="Acme"))
        near = stage.record_all("link", Person.employer)
        far = stage.record_all("link", Company.employees)
        nothing = stage.record_all("unlink", Person.employer)
        async with stage.session() as session:
            ann, acme = await session.get(Person, ann_key), await session.get(Company, acme_key)
            await self._set(session, door, ann, acme, acme_key)
            await session.commit()
        phases = ["before", "check", "after", "before_commit", "after_commit"]
        assert [(call.phase, call.relation, call.subject_key, call.object_key) for call in near] == [
            (phase, "employer", ann_key, acme_key) for phase in phases
        ]
        assert [(call.phase, call.relation, call.subject_key, call.object_key) for call in far] == [
            (phase, "employees", acme_key, ann_key) for phase in phases
        ]
        assert nothing == []

    @pytest.mark.parametrize("door", DOORS)
    @scenario
    async def test_11_changing_it_is_one_unlink_and_one_link(self, stage: Stage, door: str) -> None:
        Person, Company = stage.models.Person, stage.models.Company
        async with stage.outside() as session:
            ann, old, new = Person(name="Ann"), Company(name="Old"), Company(name="New")
            await session.add(ann, old, new)
            await session.link(ann, "employer", old)
            await session.commit()
            ann_key, old_key, new_key = map(stage.harness.key, (ann, old, new))
        linked, unlinked = (
            stage.record("after", "link", Person.employer),
            stage.record("after", "unlink", Person.employer),
        )
        async with stage.session() as session:
            ann, new = await session.get(Person, ann_key), await session.get(Company, new_key)
            await self._set(session, door, ann, new, new_key)
            await session.commit()
        assert _ends(unlinked) == [("unlink", ann_key, old_key)]
        assert _ends(linked) == [("link", ann_key, new_key)]

    @pytest.mark.parametrize("door", DOORS)
    @scenario
    async def test_11_unsetting_it_is_one_unlink(self, stage: Stage, door: str) -> None:
        Person, Company = stage.models.Person, stage.models.Company
        async with stage.outside() as session:
            ann, acme = Person(name="Ann"), Company(name="Acme")
            await session.add(ann, acme)
            await session.link(ann, "employer", acme)
            await session.commit()
            ann_key, acme_key = stage.harness.key(ann), stage.harness.key(acme)
        near, far = (
            stage.record("after_commit", "unlink", Person.employer),
            stage.record("after_commit", "unlink", Company.employees),
        )
        linked = stage.record("after_commit", "link", Person.employer)
        async with stage.session() as session:
            ann, acme = await session.get(Person, ann_key), await session.get(Company, acme_key)
            if door == "attribute":
                await session.unlink(ann, "employer", acme)
            elif door == "key":
                await session.link_by_key(ann, "employer", None)
            else:
                await session.unlink(acme, "employees", ann)
            await session.commit()
        assert (_ends(near), _ends(far), linked) == (
            [("unlink", ann_key, acme_key)],
            [("unlink", acme_key, ann_key)],
            [],
        )

    @pytest.mark.parametrize("door", ["attribute", "collection"])
    @scenario
    async def test_11_a_link_of_new_entities(self, stage: Stage, door: str) -> None:
        Person, Company = stage.models.Person, stage.models.Company
        checked = stage.record("check", "link", Person.employer)
        committed = stage.record("after_commit", "link", Company.employees)
        async with stage.session() as session:
            ann, acme = Person(name="Ann"), Company(name="Acme")
            await session.add(ann, acme)
            await self._set(session, door, ann, acme, None)
            await session.commit()
            ann_key, acme_key = stage.harness.key(ann), stage.harness.key(acme)
        assert _ends(checked) == [("link", ann_key, acme_key)]
        assert _ends(committed) == [("link", acme_key, ann_key)]

    @pytest.mark.parametrize("side", ["tags", "people"])
    @scenario
    async def test_11_many_to_many_from_either_side(self, stage: Stage, side: str) -> None:
        Person, Tag = stage.models.Person, stage.models.Tag
        ann_key, tag_key = await stage.given(Person(name="Ann")), await stage.given(Tag(label="t"))
        near, far = stage.record_all("link", Person.tags), stage.record_all("link", Tag.people)
        rows = stage.record_all("write", (Person, Tag))
        async with stage.session() as session:
            ann, tag = await session.get(Person, ann_key), await session.get(Tag, tag_key)
            await (session.link(ann, "tags", tag) if side == "tags" else session.link(tag, "people", ann))
            await session.commit()
        phases = ["before", "check", "after", "before_commit", "after_commit"]
        assert [(call.phase, call.subject_key, call.object_key) for call in near] == [
            (phase, ann_key, tag_key) for phase in phases
        ]
        assert [(call.phase, call.subject_key, call.object_key) for call in far] == [
            (phase, tag_key, ann_key) for phase in phases
        ]
        assert rows == []
        assert await stage.harness.links(Person, "tags") == {(ann_key, tag_key)}

    @scenario
    async def test_11_a_link_within_one_model(self, stage: Stage) -> None:
        Person = stage.models.Person
        ann_key, bob_key = await stage.given(Person(name="Ann")), await stage.given(Person(name="Bob"))
        bosses, staff = (
            stage.record("after", "link", Person.boss),
            stage.record("after", "link", Person.staff),
        )
        friends = stage.record("after", "link", Person.friends)
        async with stage.session() as session:
            ann, bob = await session.get(Person, ann_key), await session.get(Person, bob_key)
            await session.link(bob, "staff", ann)
            await session.link(ann, "friends", bob)
            await session.commit()
        assert _ends(bosses) == [("link", ann_key, bob_key)]
        assert _ends(staff) == [("link", bob_key, ann_key)]
        assert _ends(friends) == [("link", ann_key, bob_key)]

    @scenario
    async def test_11_setting_both_sides_is_still_one(self, stage: Stage) -> None:
        Person, Company = stage.models.Person, stage.models.Company
        ann_key, acme_key = await stage.given(Person(name="Ann")), await stage.given(Company(name="Acme"))
        calls = stage.record("after", "link", Person.employer)
        async with stage.session() as session:
            ann, acme = await session.get(Person, ann_key), await session.get(Company, acme_key)
            await session.link(ann, "employer", acme)
            await session.link_by_key(ann, "employer", acme_key)
            await session.commit()
        assert _ends(calls) == [("link", ann_key, acme_key)]

    @scenario
    async def test_11_linking_what_is_linked_fires_nothing(self, stage: Stage) -> None:
        Person, Company = stage.models.Person, stage.models.Company
        async with stage.outside() as session:
            ann, acme = Person(name="Ann"), Company(name="Acme")
            await session.add(ann, acme)
            await session.link(ann, "employer", acme)
            await session.commit()
            ann_key, acme_key = stage.harness.key(ann), stage.harness.key(acme)
        calls = stage.record_all("link", Person.employer) + stage.record_all("unlink", Person.employer)
        async with stage.session() as session:
            ann, acme = await session.get(Person, ann_key), await session.get(Company, acme_key)
            await session.unlink(ann, "employer", acme)
            await session.link(ann, "employer", acme)
            await session.commit()
        assert calls == []

    @pytest.mark.parametrize("door", DOORS)
    @scenario
    async def test_11_a_refused_link_is_not_set(self, stage: Stage, door: str) -> None:
        Person, Company = stage.models.Person, stage.models.Company
        ann_key, acme_key = (
            await stage.given(Person(name="Ann", age=12)),
            await stage.given(Company(name="Acme")),
        )

        async with stage.session() as session:
            ann, acme = await session.get(Person, ann_key), await session.get(Company, acme_key)

            @stage.hook("check", "link", Company.employees)
            async def employee_is_adult(change: Any) -> None:
                assert (change.subject, change.object) == (acme, ann)
                if change.object.age < 18:
                    raise ValidationError(change.subject, {"employees": "the minimum age is 18"})

            await self._set(session, door, ann, acme, acme_key)
            with pytest.raises(ValidationError, match="18"):
                await session.commit()
            await session.rollback()
        assert await stage.harness.links(Person, "employer") == set()

    @scenario
    async def test_11_a_before_hook_may_take_a_value_from_the_link(self, stage: Stage) -> None:
        Person, Company = stage.models.Person, stage.models.Company
        ann_key, acme_key = (
            await stage.given(Person(name="Ann", age=1)),
            await stage.given(Company(name="Acme")),
        )

        @stage.hook("before", "link", Person.employer)
        async def grow_up(change: Any, session: Any) -> None:
            await stage.harness.wrap(session).set(change.subject, age=18)

        checked = stage.record("check", "update", Person)
        async with stage.session() as session:
            ann, acme = await session.get(Person, ann_key), await session.get(Company, acme_key)
            await session.link(ann, "employer", acme)
            await session.commit()
        assert checked[-1].new is not None and checked[-1].new["age"] == 18
        assert (await stage.harness.rows(Person))[ann_key]["age"] == 18

    @scenario
    async def test_11_a_relation_set_is_obeyed_at_once(self, stage: Stage) -> None:
        Person = stage.models.Person
        watched = RelationSet()
        calls = stage.record("after", "link", watched)
        keys = [await stage.given(Person(name=name)) for name in ("Ann", "Bob")]
        async with stage.session() as session:
            ann, bob = [await session.get(Person, key) for key in keys]
            await session.link(ann, "friends", bob)
            await session.commit()
            assert calls == []
            watched.add(Person.boss)
            await session.link(ann, "boss", bob)
            await session.commit()
        assert _ends(calls) == [("link", *keys)]
