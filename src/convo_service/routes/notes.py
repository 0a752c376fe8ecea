"""Notes about users: open issues, preferences, and whatever else a new conversation should start with."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from convo_service import schemas
from convo_service.routes.convert import given_text, listing, note_out, page_of
from convo_service.routes.deps import ANYBODY, GATEWAY, Author, Now, ReadTx, Tx
from convo_service.schemas import ListOf, NoteQuery
from convo_service.services import history, notes

router = APIRouter(tags=["notes"])


@router.get("/users/{user_id}/notes", dependencies=[ANYBODY], summary="The notes about a user")
async def list_notes(user_id: schemas.AnyId, query: Annotated[NoteQuery, Query()], tx: ReadTx) -> ListOf[schemas.Note]:
    """Newest first; those that are open stand in the user's next seed."""
    found = await history.user_notes(tx, user_id, page_of(query), kind=query.kind, status=query.status)
    return listing(found, note_out)


@router.post(
    "/users/{user_id}/notes",
    dependencies=[GATEWAY],
    status_code=201,
    summary="Write a note",
    responses={200: {"model": schemas.Note, "description": "The same note was open already"}},
)
async def write_note(
    user_id: schemas.AnyId, body: schemas.NewNote, tx: Tx, at: Now, author: Author, response: Response
) -> schemas.Note:
    """It is printed first in every seed until it is resolved."""
    note, is_new = await notes.write(tx, user_id, **given_text(body), source=author, now=at)
    response.status_code = 201 if is_new else 200
    return note_out(note)


@router.patch("/notes/{note_id}", dependencies=[GATEWAY], summary="Change or resolve a note")
async def change_note(
    note_id: schemas.AnyId, body: schemas.NoteUpdate, tx: Tx, at: Now, author: Author
) -> schemas.Note:
    """Who gives it another text vouches for it: a note of a summary is then no longer the summary's."""
    return note_out(await notes.change(tx, note_id, given_text(body), source=author, now=at))
