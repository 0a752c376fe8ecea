"""What people may ask for: all that is stored about them, and that it goes; and two users who are one person."""

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from convo_service import schemas
from convo_service.routes.convert import erasure_out, user_out
from convo_service.routes.deps import ADMIN, KeyId, Now, Tx, Wired
from convo_service.services import export, merging, users

router = APIRouter(tags=["privacy"])


@router.get(
    "/users/{user_id}/export",
    dependencies=[ADMIN],
    response_model=schemas.UserExport,
    summary="All that is stored about a user",
)
async def export_user(user_id: schemas.AnyId, services: Wired) -> StreamingResponse:
    """One JSON document, sent as it is read. What lies at OpenAI is made of what is in it."""
    found = await export.begin(services.database, services.clock, user_id)
    return StreamingResponse(found.pieces(), media_type="application/json")


@router.delete("/users/{user_id}", dependencies=[ADMIN], status_code=202, summary="Erase a user")
async def erase_user(user_id: schemas.AnyId, services: Wired) -> schemas.Erasure:
    """From this answer on nobody is served anything of her; the receipt says how far rows and OpenAI are.

    Whoever asks again while it is going on gets the same receipt. A message that was erased and is sent again within
    eight days is refused with 410 `message_erased`; a new one makes a new user.
    """
    return erasure_out(await services.erasures.begin(user_id))


@router.get("/erasures/{erasure_id}", dependencies=[ADMIN], summary="The receipt of an erasure")
async def get_erasure(erasure_id: schemas.AnyId, services: Wired) -> schemas.Erasure:
    """It is completed when no row, no byte in SQLite's file, and nothing at OpenAI is left."""
    return erasure_out(await services.erasures.receipt(erasure_id))


@router.post("/users/{user_id}/merge", dependencies=[ADMIN], summary="Merge a user into another")
async def merge_user(user_id: schemas.AnyId, body: schemas.Merge, tx: Tx, at: Now, key_id: KeyId) -> schemas.User:
    """All rows move to `into`, who is returned; the user of the path is gone."""
    user = await merging.merge(tx, user_id, body.into, by=key_id, now=at)
    return user_out((await users.views(tx, [user]))[0], at)
