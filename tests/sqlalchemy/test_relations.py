"""Every kind of relation, from either side, by collection, by attribute and by column."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, Engine, ForeignKey, ForeignKeyConstraint, Table, select
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Mapped,
    WriteOnlyMapped,
    mapped_column,
    relationship,
    sessionmaker,
)

from hookline import Hooks, RelationSet, TargetError, object_is, subject_is
from hookline.sqlalchemy import attach
from tests.sqlalchemy.recording import Log, committed, logged


class Base(DeclarativeBase):
    pass


tagging = Table(
    "tagging",
    Base.metadata,
    Column("post", ForeignKey("post.id"), primary_key=True),
    Column("tag", ForeignKey("tag.id"), primary_key=True),
)
friendship = Table(
    "friendship",
    Base.metadata,
    Column("one", ForeignKey("author.id"), primary_key=True),
    Column("other", ForeignKey("author.id"), primary_key=True),
)


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    mentor_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
    mentor: Mapped[Author | None] = relationship(remote_side=id, back_populates="pupils")
    pupils: Mapped[list[Author]] = relationship(back_populates="mentor")
    posts: Mapped[list[Post]] = relationship(back_populates="author")
    latest: Mapped[list[Post]] = relationship(viewonly=True, order_by="Post.id.desc()")
    drafts: Mapped[list[Draft]] = relationship(cascade="all, delete-orphan")
    profile: Mapped[Profile | None] = relationship(back_populates="author", cascade="all, delete-orphan")
    friends: Mapped[list[Author]] = relationship(
        secondary=friendship, primaryjoin=id == friendship.c.one, secondaryjoin=id == friendship.c.other
    )
    notes: DynamicMapped[Note] = relationship(cascade="all, delete-orphan")
    letters: WriteOnlyMapped[Letter] = relationship(passive_deletes=True)


class Profile(Base):
    __tablename__ = "profile"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="profile")


class Post(Base):
    __tablename__ = "post"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author | None] = relationship(back_populates="posts")
    tags: Mapped[list[Tag]] = relationship(secondary=tagging, back_populates="posts")


class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str]
    posts: Mapped[list[Post]] = relationship(secondary=tagging, back_populates="tags")


class Draft(Base):
    __tablename__ = "draft"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    pages: Mapped[list[Page]] = relationship(cascade="all, delete-orphan")


class Page(Base):
    __tablename__ = "page"
    id: Mapped[int] = mapped_column(primary_key=True)
    draft_id: Mapped[int] = mapped_column(ForeignKey("draft.id"))


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))


class Letter(Base):
    __tablename__ = "letter"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id", ondelete="SET NULL"))


class Shelf(Base):
    __tablename__ = "shelf"
    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_row: Mapped[int | None]
    shelf_number: Mapped[int | None]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("author.id"))
    __table_args__ = (ForeignKeyConstraint(["shelf_row", "shelf_number"], ["shelf.row", "shelf.number"]),)
    shelf: Mapped[Shelf | None] = relationship()


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def sessions(engine: Engine, hooks: Hooks) -> Any:
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    attach(hooks, maker)
    return maker


def links(hooks: Hooks, *targets: Any) -> tuple[Log, Log]:
    """Logs of links set and unset, as `after` sees them."""
    return logged(hooks, "after", *targets, event="link"), logged(hooks, "after", *targets, event="unlink")


def test_11_a_link_is_one_change_however_it_is_set(hooks: Hooks, sessions: Any) -> None:
    near, _ = links(hooks, Post.author)
    far, gone = links(hooks, Author.posts)
    with sessions() as session:
        ada = Author(name="Ada")
        session.add(ada)
        session.flush()
        session.add(Post(title="by attribute", author=ada))
        session.flush()
        ada.posts.append(Post(title="by collection"))
        session.flush()
        session.add(Post(title="by column", author_id=ada.id))
        session.flush()
        assert near.take() == [("link", "author", n, ada.id) for n in (1, 2, 3)]
        assert far.take() == [("link", "posts", ada.id, n) for n in (1, 2, 3)]
        session.get(Post, 1).author = None
        ada.posts.remove(session.get(Post, 2))
        session.get(Post, 3).author_id = None
        session.flush()
        assert sorted(gone.take()) == [("unlink", "posts", ada.id, n) for n in (1, 2, 3)]
        session.commit()


def test_11_a_new_parent_and_a_new_child_link_once(hooks: Hooks, sessions: Any) -> None:
    near, _ = links(hooks, Post.author_id)
    checked = logged(hooks, "check", Post.author, event="link")
    with sessions() as session:
        session.add(Author(name="Ada", posts=[Post(title="a"), Post(title="b")]))
        session.commit()
    assert near == [("link", "author", 1, 1), ("link", "author", 2, 1)]
    assert len(checked) == 2


def test_moving_a_link_unsets_the_old_one(hooks: Hooks, sessions: Any) -> None:
    log = committed(hooks, Post.author, event="unlink")
    set_ = committed(hooks, Post.author, event="link")
    with sessions() as session:
        post = Post(title="a", author=Author(name="Ada"))
        bob = Author(name="Bob")
        session.add_all([post, bob])
        session.commit()
        set_.clear()
        post.author = bob
        session.commit()
        assert (log.take(), set_.take()) == ([("unlink", "author", 1, 1)], [("link", "author", 1, 2)])
        post.author_id = 1
        session.flush()
        post.author_id = 2
        session.commit()
        assert (log.take(), set_.take()) == ([], [])


def test_many_to_many_from_either_side(hooks: Hooks, sessions: Any) -> None:
    tags, untags = links(hooks, Post.tags)
    posts, _ = links(hooks, Tag.posts)
    with sessions() as session:
        post, red, blue = Post(title="a"), Tag(word="red"), Tag(word="blue")
        post.tags.append(red)
        blue.posts.append(post)
        session.add_all([post, blue])
        session.commit()
        assert (
            sorted(tags.take())
            == [("link", "tags", 1, red.id), ("link", "tags", 1, blue.id)][:: 1 if red.id < blue.id else -1]
        )
        assert sorted(posts.take()) == sorted([("link", "posts", red.id, 1), ("link", "posts", blue.id, 1)])
        post.tags.remove(red)
        session.commit()
        assert untags.take() == [("unlink", "tags", 1, red.id)]
        session.expire_all()
        session.delete(post)
        session.commit()
        assert untags.take() == [("unlink", "tags", 1, blue.id)]


def test_self_references_keep_their_direction(hooks: Hooks, sessions: Any) -> None:
    friends, unfriends = links(hooks, Author.friends)
    mentors, _ = links(hooks, Author.mentor)
    pupils, _ = links(hooks, Author.pupils)
    with sessions() as session:
        ada, bob = Author(name="Ada"), Author(name="Bob")
        session.add_all([ada, bob])
        session.flush()
        ada.friends.append(bob)
        bob.mentor = ada
        session.commit()
        assert friends == [("link", "friends", ada.id, bob.id)]
        assert mentors == [("link", "mentor", bob.id, ada.id)]
        assert pupils == [("link", "pupils", ada.id, bob.id)]
        ada.friends.clear()
        session.commit()
        assert unfriends == [("unlink", "friends", ada.id, bob.id)]


def test_10_deleting_unlinks_and_cascades_fire_hooks(hooks: Hooks, sessions: Any) -> None:
    rows = committed(hooks)
    _, gone = links(hooks, Draft.pages)
    before = logged(hooks, "before", Page)
    with sessions() as session:
        ada = Author(name="Ada", drafts=[Draft(pages=[Page(), Page()])], profile=Profile())
        session.add(ada)
        session.commit()
        rows.clear()
        before.clear()
        session.expire_all()
        session.delete(ada)
        session.commit()
    assert sorted(row[1] for row in rows) == ["Author", "Draft", "Page", "Page", "Profile"]
    assert [row[0] for row in before] == ["delete", "delete"]
    assert sorted(gone) == [("unlink", "pages", 1, 1), ("unlink", "pages", 1, 2)]


def test_orphans_are_deleted_with_hooks_and_take_their_children(hooks: Hooks, sessions: Any) -> None:
    rows, before = committed(hooks, Draft, Page), logged(hooks, "before", Draft, Page)
    with sessions() as session:
        ada = Author(name="Ada", drafts=[Draft(pages=[Page()])])
        session.add(ada)
        session.commit()
        rows.clear()
        before.clear()
        ada.drafts.clear()
        session.commit()
    assert sorted(row[:2] for row in rows) == [("delete", "Draft"), ("delete", "Page")]
    assert sorted(row[:2] for row in before) == [("delete", "Draft"), ("delete", "Page")]


def test_deleting_a_parent_nulls_its_childrens_keys_with_hooks(hooks: Hooks, sessions: Any) -> None:
    before, checked, rows = (
        logged(hooks, "before", Post),
        logged(hooks, "check", Post),
        committed(hooks, Post),
    )
    with sessions() as session:
        ada = Author(name="Ada", posts=[Post(title="a")])
        session.add(ada)
        session.commit()
        for log in (before, checked, rows):
            log.clear()
        session.expire_all()
        session.delete(ada)
        session.commit()
    assert before == checked == rows == [("update", "Post", {"author_id": (1, None)})]


def test_replacing_a_one_to_one_deletes_the_old(hooks: Hooks, sessions: Any) -> None:
    rows = committed(hooks, Profile)
    with sessions() as session:
        ada = Author(name="Ada", profile=Profile())
        session.add(ada)
        session.commit()
        rows.clear()
        ada.profile = Profile()
        session.commit()
    assert [row[0] for row in rows] == ["delete", "insert"]


def test_dynamic_and_write_only_relations(hooks: Hooks, sessions: Any) -> None:
    rows = committed(hooks, Note, Letter)
    set_, _ = links(hooks, Author.notes, Author.letters)
    with sessions() as session:
        ada = Author(name="Ada")
        session.add(ada)
        session.flush()
        ada.notes.append(Note())
        letter = Letter()
        ada.letters.add(letter)
        session.commit()
        assert [row[:2] for row in rows.take()] == [("insert", "Letter"), ("insert", "Note")]
        assert sorted(set_.take()) == [("link", "letters", 1, 1), ("link", "notes", 1, 1)]
        ada.notes.remove(ada.notes.first())
        ada.letters.remove(letter)
        session.commit()
        assert [row[:2] for row in rows.take()] == [("delete", "Note"), ("update", "Letter")]


def test_composite_foreign_keys(hooks: Hooks, sessions: Any) -> None:
    set_, unset = links(hooks, Book.shelf)
    with sessions() as session:
        session.add(Book(shelf=Shelf(row=1, number=2)))
        session.commit()
        assert set_.take() == [("link", "shelf", 1, (1, 2))]
        session.add(Shelf(row=1, number=3))
        session.flush()
        session.get(Book, 1).shelf_number = 3
        session.commit()
        assert (set_.take(), unset.take()) == (
            [("link", "shelf", 1, (1, 3))],
            [("unlink", "shelf", 1, (1, 2))],
        )


def test_a_foreign_key_without_a_relationship(hooks: Hooks, sessions: Any) -> None:
    seen: list[Any] = []

    @hooks.check("link", Book.owner_id)
    def look(change: Any) -> None:
        seen.append((change.subject.id is None, change.object.name, change.relation))

    with sessions() as session:
        session.add(Author(name="Ada"))
        session.flush()
        session.add(Book(owner_id=1))
        session.commit()
    assert seen == [(True, "Ada", "owner_id")]


def test_link_hooks_on_a_class_on_all_and_on_a_live_set(hooks: Hooks, sessions: Any) -> None:
    of_class, everything = logged(hooks, "after", Post, event="link"), logged(hooks, "after", event="link")
    live = RelationSet()
    some = logged(hooks, "after", live, event="link")
    conditional = logged(hooks, "after", event="link", when=subject_is(Post) & object_is(Tag))
    with sessions() as session:
        session.add(Post(title="a", author=Author(name="Ada"), tags=[Tag(word="x")]))
        session.commit()
        assert len(of_class) == len(everything) == 2
        assert some == []
        assert conditional == [("link", "tags", 1, 1)]
        live.add(Post.author)
        session.add(Post(title="b", author_id=1))
        session.commit()
        assert some == [("link", "author", 2, 1)]
        live.discard(Post.author)
        session.add(Post(title="c", author_id=1))
        session.commit()
        assert len(some) == 1


def test_a_foreign_key_edited_in_before_wins_over_the_relationship(hooks: Hooks, sessions: Any) -> None:
    @hooks.before("insert", Post)
    def give_to_bob(change: Any) -> None:
        change.new["author_id"] = 2

    set_, _ = links(hooks, Post.author)
    with sessions() as session:
        ada, bob = Author(id=1, name="Ada"), Author(id=2, name="Bob")
        session.add_all([ada, bob])
        session.commit()
        post = Post(title="a", author=ada)
        session.add(post)
        session.commit()
        assert session.scalar(select(Post.author_id)) == 2
        assert post.author is bob
    assert set_ == [("link", "author", 1, 2)]


def test_a_target_that_links_nothing_is_refused(hooks: Hooks, sessions: Any) -> None:
    with pytest.raises(TargetError, match=r"Post\.title"):
        logged(hooks, "after", Post.title, event="link")
    with pytest.raises(TargetError, match="events 'link' and 'unlink'"):
        logged(hooks, "after", Post.author, event="insert")
    with pytest.raises(TargetError, match="not mapped"):
        logged(hooks, "after", int, event="insert")
    logged(hooks, "after", Author.latest, event="link")  # read only, but it names the same foreign key


def test_a_child_deleted_together_with_its_parent_is_deleted_however_it_was_linked(hooks: Hooks, sessions: Any) -> None:
    rows = committed(hooks, Letter, Draft)
    with sessions() as session:
        ada = Author(name="Ada")
        draft = Draft()
        letter = Letter()
        ada.drafts.append(draft)
        session.add_all([ada, letter])
        session.commit()
        rows.clear()
        with session.no_autoflush:
            letter.author_id = ada.id
            session.delete(letter)
            session.delete(draft)
            session.delete(ada)
        session.commit()
    assert sorted(row[:2] for row in rows) == [("delete", "Draft"), ("delete", "Letter")]
