"""What happens to a write that goes around a hook: the policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hookline.errors import RegistrationError, UnknownPolicyError, near

if TYPE_CHECKING:
    from hookline.core.hook import Hook

POLICIES: Final = ("capture", "refuse", "warn", "allow")
"""Shown by capture, or else refused; refused; sent with a warning; sent."""


def policy_named(name: object, whose: str) -> str:
    """The policy of this name.

    Args:
        name: What was given as ``bypass=``.
        whose: Whom it was given for, for the message.

    Raises:
        UnknownPolicyError: There is none.

    Example:
        >>> policy_named("refuse", "the rule book")
        'refuse'
    """
    if isinstance(name, str) and name in POLICIES:
        return name
    meant = near(name, POLICIES) if isinstance(name, str) else ""
    listed = ", ".join(map(repr, POLICIES))
    raise UnknownPolicyError(f"{whose}: there is no policy bypass={name!r}.{meant} Write one of {listed}.")


def own_policy(name: object, hook: str, phase: str) -> str | None:
    """The policy that was given to a hook; None if it follows the rule book.

    Raises:
        UnknownPolicyError: There is no such policy.
        RegistrationError: It cannot hold in this phase.
    """
    if name is None:
        return None
    policy = policy_named(name, hook)
    if policy == "capture" and phase == "before":
        raise RegistrationError(
            f"{hook}: bypass='capture' shows a write when it has been sent, and a `before` hook could not edit it any "
            f"more. Write bypass='refuse', 'warn' or 'allow', or make it a `check` hook, which captured writes run."
        )
    return policy


def policy_of(hook: Hook, otherwise: str) -> str:
    """The policy that holds for a hook.

    Args:
        hook: The hook.
        otherwise: The policy of its rule book. Where that is ``capture``, it is ``warn`` for `before` hooks, which
            capture cannot serve.
    """
    if hook.bypass is not None:
        return hook.bypass
    return "warn" if otherwise == "capture" and hook.phase == "before" else otherwise
