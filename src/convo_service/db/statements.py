"""The one statement that both databases spell in a dialect of their own."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.models import Base


async def insert_ignore(tx: AsyncSession, table: type[Base], row: dict[str, Any]) -> bool:
    """Insert a row unless its key is there; say whether it was inserted."""
    dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(row).on_conflict_do_nothing().returning(sa.literal(1))
    return await tx.scalar(statement) is not None
