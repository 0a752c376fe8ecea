"""Users: find them, read their thread, link identities, reset."""

from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from convo_service import schemas
from convo_service.routes.convert import conversation_out, listing, message_out, page_of, user_out
from convo_service.routes.deps import ADMIN, DASHBOARD, GATEWAY, BotPause, Marks, Now, ReadTx, Tx, Wired
from convo_service.schemas import ListOf, ThreadQuery, UserQuery
from convo_service.services import history, pauses, users

router = APIRouter(prefix="/users", tags=["users"])


@router.get("", dependencies=[DASHBOARD], summary="Users, by name or company")
async def list_users(query: Annotated[UserQuery, Query()], tx: ReadTx, at: Now) -> ListOf[schemas.User]:
    """Who wrote last comes first; `q` looks into names and companies."""
    return listing(await history.find_users(tx, page_of(query), query.q), partial(user_out, now=at))


@router.post("/lookup", dependencies=[GATEWAY], summary="Find a user by identity")
async def look_up(body: schemas.Lookup, tx: ReadTx, at: Now) -> schemas.User:
    """By phone number, BSUID or any other identity; a phone number never stands in a URL."""
    found = await users.find(tx, body.identity)
    return user_out((await users.views(tx, [found]))[0], at)


@router.get("/{user_id}", dependencies=[DASHBOARD], summary="One user")
async def get_user(user_id: schemas.AnyId, tx: ReadTx, at: Now) -> schemas.User:
    """A user with identities, active conversations and counts."""
    found = await users.get(tx, user_id)
    return user_out((await users.views(tx, [found]))[0], at)


@router.get("/{user_id}/messages", dependencies=[DASHBOARD], summary="A user's whole thread")
async def list_messages(
    user_id: schemas.AnyId, query: Annotated[ThreadQuery, Query()], tx: ReadTx
) -> ListOf[schemas.Message]:
    """Across all conversations, oldest first."""
    return listing(await history.user_messages(tx, user_id, page_of(query)), message_out)


@router.post("/{user_id}/reset", dependencies=[GATEWAY], status_code=201, summary="Open a new conversation by hand")
async def reset(user_id: schemas.AnyId, services: Wired, body: schemas.Reset | None = None) -> schemas.Conversation:
    """The operator's `/new`."""
    wanted = body or schemas.Reset()
    made = await services.conversations.reset(user_id, topic=wanted.topic, forget=wanted.forget)
    return conversation_out(made)


@router.post("/{user_id}/identities", dependencies=[ADMIN], status_code=201, summary="Link an identity")
async def link_identity(
    user_id: schemas.AnyId, body: schemas.LinkIdentity, marker: Marks, tx: Tx, at: Now
) -> schemas.User:
    """An identity of somebody else is refused; one that the user has already is no error."""
    user = await users.link(tx, user_id, body.identity, at=at, marker=marker)
    return user_out((await users.views(tx, [user]))[0], at)


@router.put("/{user_id}/pause", dependencies=[GATEWAY], summary="Let a person answer in the bot's place")
async def pause(
    user_id: schemas.AnyId, tx: Tx, at: Now, default: BotPause, body: schemas.Pause | None = None
) -> schemas.User:
    """From now on messages are stored and not answered, until `paused_until`. Asked again, it begins anew."""
    given = body.minutes if body is not None else None
    user = await pauses.begin(tx, user_id, at + (default if given is None else timedelta(minutes=given)))
    return user_out((await users.views(tx, [user]))[0], at)


@router.delete("/{user_id}/pause", dependencies=[GATEWAY], summary="Let the bot answer again")
async def resume(user_id: schemas.AnyId, tx: Tx, at: Now) -> schemas.User:
    """The first reply knows what was said meanwhile. One who is not paused stays as she is."""
    user = await pauses.end(tx, user_id, at)
    return user_out((await users.views(tx, [user]))[0], at)
