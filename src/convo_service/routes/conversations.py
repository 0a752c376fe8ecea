"""Conversations: get or create, append, close, and the history."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from convo_service import schemas
from convo_service.routes.convert import (
    appended,
    call_of,
    conversation_out,
    filter_of,
    got,
    listing,
    message_out,
    page_of,
)
from convo_service.routes.deps import DASHBOARD, GATEWAY, ReadTx, Wired
from convo_service.routes.slim import SlimRoute
from convo_service.schemas import AppendMessages, ConversationQuery, GetOrCreate, GotOrCreated, ListOf, ThreadQuery
from convo_service.services import history, windows
from convo_service.services.paging import Listing

router = APIRouter(prefix="/conversations", tags=["conversations"])
hot = APIRouter(prefix="/conversations", tags=["conversations"], route_class=SlimRoute)


@hot.post(
    "",
    dependencies=[GATEWAY],
    summary="Get or create the conversation of a message",
    responses={201: {"model": GotOrCreated, "description": "A new conversation was created"}},
)
async def get_or_create(body: GetOrCreate, services: Wired, response: Response) -> GotOrCreated:
    """Store the inbound message, decide the window, and return the conversation to use at OpenAI."""
    answer = await services.conversations.get_or_create(call_of(body, services.settings))
    response.status_code = 201 if answer.created else 200
    return got(answer)


@router.get("", dependencies=[DASHBOARD], summary="The history of conversations")
async def list_conversations(query: Annotated[ConversationQuery, Query()], tx: ReadTx) -> ListOf[schemas.Conversation]:
    """Newest activity first; every filter narrows it."""
    return listing(await history.conversations(tx, filter_of(query), page_of(query)), conversation_out)


@router.get("/{conversation_id}", dependencies=[DASHBOARD], summary="One conversation")
async def get_conversation(conversation_id: schemas.AnyId, tx: ReadTx) -> schemas.Conversation:
    """A conversation, with the seed it started with."""
    return conversation_out(await windows.find(tx, conversation_id))


@router.get("/{conversation_id}/messages", dependencies=[DASHBOARD], summary="The thread of a conversation")
async def list_messages(
    conversation_id: schemas.AnyId, query: Annotated[ThreadQuery, Query()], tx: ReadTx
) -> ListOf[schemas.Message]:
    """Oldest first."""
    return listing(await history.conversation_messages(tx, conversation_id, page_of(query)), message_out)


@router.post("/{conversation_id}/messages", dependencies=[GATEWAY], status_code=201, summary="Append messages")
async def append_messages(
    conversation_id: schemas.AnyId, body: AppendMessages, services: Wired
) -> ListOf[schemas.Message]:
    """Append what was said elsewhere; an id that was seen before is returned as it stands."""
    batch = [appended(message, services.settings) for message in body.messages]
    stored = await services.conversations.append(conversation_id, batch)
    return listing(Listing(stored, has_more=False), message_out)


@router.get("/{conversation_id}/chain", dependencies=[DASHBOARD], summary="Ancestors and descendants")
async def get_chain(
    conversation_id: schemas.AnyId, query: Annotated[ThreadQuery, Query()], tx: ReadTx
) -> ListOf[schemas.Conversation]:
    """The windows that follow from one another, oldest first."""
    return listing(await history.chain(tx, conversation_id, page_of(query)), conversation_out)


@router.post("/{conversation_id}/close", dependencies=[GATEWAY], summary="Close a conversation by hand")
async def close_conversation(conversation_id: schemas.AnyId, services: Wired) -> schemas.Conversation:
    """The next message opens a new one; a conversation that is closed stays as it is."""
    return conversation_out(await services.conversations.close(conversation_id))
