"""Edits and revocations of messages: whatever was made of a text goes with it, wherever a later seed would read it.

Only the new form is kept, and of a revoked message none: the row says that it was changed, and when. Every place that
reads messages (the digest, the last words at a cap, the search, the talk of a pause) follows by itself. What was made
of the old words before (entries of seeds, summaries and notes, a seed that was not sent yet) is in `derived`. Counts go
on counting what was said, and the conversation at OpenAI keeps what its model has read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from convo_service.db.engine import Database, database_time
from convo_service.db.models import Message, Opening, User
from convo_service.domain.commands import command_length
from convo_service.errors import MessageNotFound, OpeningInProgress, UserNotFound
from convo_service.services import derived, messages, tombstones, users
from convo_service.services.arrivals import Clock
from convo_service.services.pepper import Pepper
from convo_service.services.tombstones import Marker
from convo_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Revisions:
    """Changes messages; each change is one transaction."""

    database: Database
    settings: Settings
    clock: Clock
    pepper: Pepper

    async def edit(self, message_id: str, text: str) -> Message:
        """Give a message, by our id, another text. Raises MessageNotFound."""
        async with self.database.write.begin() as tx:
            message = await _find(tx, message_id)
            await self._edit(tx, message, text, self.clock())
        return message

    async def revoke(self, message_id: str) -> Message:
        """Take a message, by our id, back. Raises MessageNotFound."""
        async with self.database.write.begin() as tx:
            message = await _find(tx, message_id)
            await self._revoke(tx, message)
        return message

    async def edit_by_name(self, identity: str, external_id: str, text: str, sent_at: datetime | None) -> Message:
        """The same by the ids of a gateway; an edit that is older than the last one changes nothing.

        Raises UserNotFound, MessageNotFound, and SentAtInFuture.
        """
        now = self.clock()
        at = messages.event_time(sent_at, now)
        async with self.database.write.begin() as tx:
            user = await users.lock(tx, (await users.find(tx, identity)).id)
            message = await _named(tx, user, external_id)
            if message is None:
                raise MessageNotFound
            if message.edited_at is None or at >= message.edited_at:
                await self._edit(tx, message, text, at)
        return message

    async def revoke_by_name(self, identity: str, external_id: str) -> Message | None:
        """The same for a revocation; None: the message is not there yet, and is taken back when it comes."""
        marker = Marker(await self.pepper.read())
        async with self.database.write.begin() as tx:
            try:
                user = await users.lock(tx, (await users.find(tx, identity)).id)
            except UserNotFound:
                await tombstones.remember_of_nobody(tx, identity, external_id, marker, self.clock())
                return None
            message = await _named(tx, user, external_id)
            if message is None:
                await tombstones.remember(tx, user, external_id, marker, self.clock())
                return None
            await self._revoke(tx, message)
        return message

    async def _edit(self, tx: AsyncSession, message: Message, text: str, at: datetime) -> None:
        if message.revoked_at is not None or text == message.text:
            return
        message.edited_at = at
        await self._change(tx, message, text)

    async def _revoke(self, tx: AsyncSession, message: Message) -> None:
        if message.revoked_at is None:
            message.revoked_at = self.clock()
            await self._change(tx, message, "")

    async def _change(self, tx: AsyncSession, message: Message, text: str) -> None:
        await _make_openings_anew(tx, message.user_id)
        before, message.text = message.said, text
        inbound = message.direction == "inbound"
        message.command_length = command_length(text, self.settings.reset_words) if inbound else 0
        await tx.flush()
        await derived.follow(tx, message, before)


async def _find(tx: AsyncSession, message_id: str) -> Message:
    there = (Message.id == message_id, ~users.is_erased(Message.user_id))
    user_id = await tx.scalar(sa.select(Message.user_id).where(*there).limit(1))
    if user_id is None:
        raise MessageNotFound
    await users.lock(tx, user_id)
    return await tx.get_one(Message, (user_id, message_id))


async def _named(tx: AsyncSession, user: User, external_id: str) -> Message | None:
    found: Message | None = await tx.scalar(
        sa.select(Message).where(Message.user_id == user.id, Message.external_id == external_id)
    )
    return found


async def _make_openings_anew(tx: AsyncSession, user_id: str) -> None:
    """A seed that waits in an opening is made again; one that is on its way to OpenAI is waited for."""
    waiting = sa.select(Opening.seed, Opening.lease_until > database_time()).where(Opening.user_id == user_id)
    rows: Sequence[sa.Row[object, bool]] = (await tx.execute(waiting)).all()
    if any(is_alive for _, is_alive in rows):
        raise OpeningInProgress(retry_after=1)
    if rows:
        await tx.execute(sa.update(Opening).where(Opening.user_id == user_id).values(seed=None))
