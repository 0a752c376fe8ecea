"""Messages of everybody: the search, edits and revocations."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from convo_service import schemas
from convo_service.routes.convert import listing, message_out, page_of, readable
from convo_service.routes.deps import DASHBOARD, GATEWAY, ReadTx, Wired
from convo_service.services import search

router = APIRouter(prefix="/messages", tags=["messages"])


@router.get("", dependencies=[DASHBOARD], summary="Search what was said")
async def search_messages(
    query: Annotated[schemas.SearchQuery, Query()], tx: ReadTx
) -> schemas.ListOf[schemas.Message]:
    """The newest first; all words have to be there, the last one perhaps unfinished."""
    return listing(await search.messages(tx, query.q, page_of(query)), message_out)


@router.post("/edits", dependencies=[GATEWAY], summary="A user has edited a message")
async def edit_named_message(body: schemas.NamedMessageEdit, services: Wired) -> schemas.Message:
    """By the ids of the gateway, as a webhook has them. A message that is not here is a 404: repeat it later.

    The new text takes the place of the old one, here and in every seed to come. One that was revoked stays so.
    """
    text = readable(body.text, services.settings)
    return message_out(await services.revisions.edit_by_name(body.identity, body.id, text, body.sent_at))


@router.post(
    "/revocations",
    dependencies=[GATEWAY],
    summary="A user has taken a message back",
    responses={202: {"model": schemas.Revocation, "description": "The message has not come yet"}},
)
async def revoke_named_message(
    body: schemas.NamedRevocation, services: Wired, response: Response
) -> schemas.Revocation:
    """By the ids of the gateway, as a webhook has them; it may come before its message does, up to eight days.

    Nothing of its text is kept, here and in every seed to come.
    """
    message = await services.revisions.revoke_by_name(body.identity, body.id)
    response.status_code = 200 if message is not None else 202
    return schemas.Revocation(message=message_out(message) if message is not None else None)


@router.patch("/{message_id}", dependencies=[GATEWAY], summary="Edit a message")
async def edit_message(message_id: schemas.AnyId, body: schemas.MessageEdit, services: Wired) -> schemas.Message:
    """The same by our id."""
    return message_out(await services.revisions.edit(message_id, readable(body.text, services.settings)))


@router.delete("/{message_id}", dependencies=[GATEWAY], summary="Take a message back")
async def revoke_message(message_id: schemas.AnyId, services: Wired) -> schemas.Message:
    """The same by our id: the row stays, without its text."""
    return message_out(await services.revisions.revoke(message_id))
