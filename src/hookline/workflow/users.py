"""Who approves: anything with an id, groups and permissions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from hookline.errors import WorkflowStoreError


class User(Protocol):
    """What an application's user needs; groups and permissions are names, or objects with a name."""

    id: Any
    groups: Iterable[Any]
    permissions: Iterable[Any]


class Actor(NamedTuple):
    """A user as workflows see one.

    Attributes:
        id: The id, as text.
        groups: The names of the groups.
        permissions: The names of the permissions.

    Example:
        >>> Actor("7", frozenset({"courier"}))
        Actor(id='7', groups=frozenset({'courier'}), permissions=frozenset())
    """

    id: str
    groups: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()

    def meets(self, approval: Any) -> bool:
        """Whether an `Approval` may be given by this one."""
        return (
            approval.anybody
            or self.id in approval.users
            or not self.groups.isdisjoint(approval.groups)
            or not self.permissions.isdisjoint(approval.permissions)
        )


def actor_of(user: Any) -> Actor:
    """The actor that a user is: it has an ``id``, and may have ``groups`` and ``permissions``.

    Raises:
        WorkflowStoreError: It has no id.
    """
    if isinstance(user, Actor):
        return user
    identity = getattr(user, "id", None)
    if identity is None:
        raise WorkflowStoreError(
            f"{user!r} has no id, so nobody could tell later who approved. Give a user with `id`, `groups` and "
            f"`permissions`, an Actor('7', frozenset({{'courier'}})), or a workflow users=... that makes one of it."
        )
    return Actor(str(identity), _named(getattr(user, "groups", ())), _named(getattr(user, "permissions", ())))


def users_of(
    *,
    identity: str = "id",
    groups: str | None = "groups",
    group_name: str = "name",
    permissions: str | None = "permissions",
    permission_name: str = "name",
    groups_permissions: str | None = None,
) -> Callable[[Any], Actor]:
    """How to read an application's own users, for ``Workflow(..., users=...)``: mapped classes with relationships, say.

    Args:
        identity: The attribute that identifies a user.
        groups: The attribute that holds the groups, names or objects; None if there are none.
        group_name: The attribute that names a group.
        permissions: The attribute that holds the permissions of the user's own; None if there are none.
        permission_name: The attribute that names a permission.
        groups_permissions: The attribute of a group that holds what all its members may; None if groups have none.

    Example:
        >>> from types import SimpleNamespace as Row
        >>> couriers = Row(title="courier", rights=[Row(codename="sign")])
        >>> read = users_of(identity="login", groups="teams", group_name="title", permissions=None,
        ...                 permission_name="codename", groups_permissions="rights")
        >>> read(Row(login="ann", teams=[couriers]))
        Actor(id='ann', groups=frozenset({'courier'}), permissions=frozenset({'sign'}))
    """

    def read(user: Any) -> Actor:
        if isinstance(user, Actor):
            return user
        member_of = list(_of(user, groups)) if groups else []
        may = list(_of(user, permissions)) if permissions else []
        if groups_permissions:
            may += [one for group in member_of for one in _of(group, groups_permissions)]
        return Actor(str(_of(user, identity)), _named(member_of, group_name), _named(may, permission_name))

    return read


def _of(owner: Any, attribute: str) -> Any:
    try:
        return getattr(owner, attribute)
    except AttributeError:
        raise WorkflowStoreError(
            f"{owner!r} has no {attribute!r}. Say how users are read: users_of(identity=.., groups=.., "
            f"permissions=..); None for what there is not."
        ) from None


def _named(several: Any, attribute: str = "name") -> frozenset[str]:
    if callable(several):  # as Django has it
        several = several()
    return frozenset(one if isinstance(one, str) else str(_of(one, attribute)) for one in several or ())
