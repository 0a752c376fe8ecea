"""The same work as most people would write it: FastAPI, a session for each request, objects that are refreshed.

`uvicorn --factory bench.naive:create_app`, with DATABASE_URL and KEY_PEPPER.
"""

import hashlib
import hmac
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from convo_service.db.models import ApiKey, Conversation, Message, User, UserIdentity
from convo_service.db.sqlite import PRAGMAS
from convo_service.domain.ids import new_id

PREFIX_CHARS = 12
bearer = HTTPBearer()


class Inbound(BaseModel):
    """What the user wrote."""

    id: str
    text: str


class Wanted(BaseModel):
    """A message, and whose."""

    identity: str
    message: Inbound


class ConversationOut(BaseModel):
    """A conversation as the answer has it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    user_id: str
    identity: str
    is_active: bool
    topic: str
    created_at: datetime
    last_message_at: datetime
    message_count: int


class MessageOut(BaseModel):
    """A message as the answer has it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    conversation_id: str
    direction: str
    text: str
    external_id: str
    sent_at: datetime


class Got(BaseModel):
    """The answer."""

    conversation: ConversationOut
    message: MessageOut
    duplicate: bool


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A session for this request."""
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]


async def check_key(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)], session: Session) -> None:
    """Look the key up."""
    key = credentials.credentials
    row = await session.scalar(sa.select(ApiKey).where(ApiKey.prefix == key[:PREFIX_CHARS]))
    digest = hmac.new(os.environ["KEY_PEPPER"].encode(), key.encode(), hashlib.sha256).hexdigest()
    if row is None or row.revoked_at is not None or not hmac.compare_digest(row.digest, digest):
        raise HTTPException(401)


async def get_or_create(wanted: Wanted, session: Session) -> Got:
    """Store a message of a user who is known and has a conversation."""
    now = datetime.now(UTC)
    user = await session.scalar(sa.select(User).join(UserIdentity).where(UserIdentity.value == wanted.identity))
    if user is None:
        raise HTTPException(404)
    said = await session.scalar(
        sa.select(Message).where(Message.user_id == user.id, Message.external_id == wanted.message.id)
    )
    current = await session.scalar(
        sa.select(Conversation).where(
            Conversation.user_id == user.id, Conversation.topic == "general", Conversation.is_active
        )
    )
    if current is None or now - current.last_inbound_at > timedelta(seconds=current.timeout_seconds):
        raise HTTPException(409)
    duplicate = said is not None
    if said is None:
        said = _message(user, current, wanted.message, now)
        session.add(said)
        _count(user, current, len(said.text) // 4, now)
        await session.commit()
        for row in (user, current, said):
            await session.refresh(row)
    return Got(
        conversation=ConversationOut.model_validate(current),
        message=MessageOut.model_validate(said),
        duplicate=duplicate,
    )


def _message(user: User, current: Conversation, inbound: Inbound, now: datetime) -> Message:
    return Message(
        user_id=user.id,
        id=new_id("msg"),
        topic=current.topic,
        conversation_id=current.id,
        answered_conversation_id=current.id,
        direction="inbound",
        text=inbound.text,
        external_id=inbound.id,
        sent_at=now,
        received_at=now,
    )


def _count(user: User, current: Conversation, tokens: int, now: datetime) -> None:
    user.message_count += 1
    user.talk_tokens += tokens
    user.last_seen_at = now
    current.message_count += 1
    current.talk_tokens += tokens
    current.last_message_at = current.last_inbound_at = current.inbound_received_at = now


async def ready() -> None:
    """Answer."""


def create_app(url: str | None = None) -> FastAPI:
    """The naive way on a database, that of the environment when none is named."""
    url = url or os.environ["DATABASE_URL"]
    engine = create_async_engine(url)
    if url.startswith("sqlite"):
        _set_pragmas(engine.sync_engine)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.sessions = async_sessionmaker(engine)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.post("/conversations", dependencies=[Depends(check_key)])(get_or_create)
    app.get("/readyz")(ready)
    return app


def _set_pragmas(engine: sa.Engine) -> None:
    """The service's own, so that nothing here waits for a disk where the others do not."""

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
