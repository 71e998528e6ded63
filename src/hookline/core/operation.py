"""Work that is done once at the end of a transaction, or undone by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from hookline.core.transaction import Transaction


class Operation:
    """An object with steps at commit and rollback, one per transaction and class, fed by hooks.

    Subclass it and write the steps that are needed; each may be sync or async and may ask for ``tx``,
    ``session`` and whatever the context holds. After CubicWeb's operations, whose ``precommit_event``,
    ``revertprecommit_event``, ``postcommit_event`` and ``rollback_event`` these are.

    Attributes:
        order: Low runs first.
        tx: The transaction.
        items: What was added, in order.

    Example:
        >>> class SendMails(Operation):
        ...     order = Operation.LAST
        ...     def after_commit(self):
        ...         print("to", self.items)
    """

    EARLY: ClassVar[int] = -100
    NORMAL: ClassVar[int] = 0
    LATE: ClassVar[int] = 100
    LAST: ClassVar[int] = 1000

    order: ClassVar[int] = NORMAL

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx
        self.items: list[Any] = []

    @classmethod
    def of(cls, tx: Transaction) -> Self:
        """The transaction's instance of this class, made when first asked for.

        While it is running, a fresh one, which runs too.
        """
        return tx.operation(cls)

    def add(self, item: Any) -> Self:
        """Add something to work on; a rolled-back savepoint takes it out again."""
        self.tx.check_open(f"{type(self).__name__}.add()")
        self.items.append(item)
        return self

    def before_commit(self) -> Any:
        """Before COMMIT; may raise, and the transaction then rolls back."""

    def revert(self) -> Any:
        """Its `before_commit` ran, or failed, and the commit did not happen."""

    def after_commit(self) -> Any:
        """After COMMIT."""

    def after_rollback(self) -> Any:
        """The transaction did not commit."""
