"""What is to be done when a transaction has been committed, and not when it was undone: counting what it did."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

_KEY = "once_committed"


class Session(sa.orm.Session):
    """A session that does what it was told to do when it is committed."""


@sa.event.listens_for(Session, "after_commit")
def _do(session: Any) -> None:
    for work in session.info.pop(_KEY, ()):
        work()


def once_committed(tx: AsyncSession, work: Callable[[], object]) -> None:
    """Do something that cannot fail when the transaction is committed."""
    tx.info.setdefault(_KEY, []).append(work)
