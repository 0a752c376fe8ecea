"""Profiles of users."""

from fastapi import APIRouter

from convo_service import schemas
from convo_service.routes.convert import profile_out
from convo_service.routes.deps import ANYBODY, GATEWAY, Now, ReadTx, Tx
from convo_service.services import profiles

router = APIRouter(prefix="/users/{user_id}/profile", tags=["profiles"])


@router.get("", dependencies=[ANYBODY], summary="What is known of a user")
async def get_profile(user_id: schemas.AnyId, tx: ReadTx) -> schemas.Profile:
    """Every field may be null."""
    return profile_out(await profiles.get(tx, user_id))


@router.put("", dependencies=[GATEWAY], summary="Fill or correct a profile")
async def put_profile(user_id: schemas.AnyId, body: schemas.ProfileUpdate, tx: Tx, at: Now) -> schemas.Profile:
    """The given fields are replaced, the others stay."""
    return profile_out(await profiles.save(tx, user_id, body.model_dump(exclude_unset=True), now=at))
