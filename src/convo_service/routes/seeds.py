"""Seeds of users: what the next conversation starts with, and an operator's say in it."""

from typing import Annotated

from fastapi import APIRouter, Query

from convo_service import schemas
from convo_service.routes.convert import given_text, listing, page_of, preview_out, summary_out
from convo_service.routes.deps import ANYBODY, DASHBOARD, GATEWAY, ReadTx, Wired
from convo_service.schemas import ListOf, PageQuery, SeedPreview
from convo_service.services import history

router = APIRouter(prefix="/users/{user_id}", tags=["seeds"])


@router.get("/seed", dependencies=[ANYBODY], summary="What the next conversation would start with")
async def preview_seed(
    user_id: schemas.AnyId,
    services: Wired,
    topic: schemas.TopicName = "general",
    template: schemas.TopicName | None = None,
) -> SeedPreview:
    """The seed as it would be now, and for each part of it the messages it rests on."""
    return preview_out(await services.previews.show(user_id, topic=topic, template=template))


@router.post("/seed/regenerate", dependencies=[GATEWAY], summary="Have the model read the last conversation again")
async def regenerate_seed(user_id: schemas.AnyId, services: Wired, topic: schemas.TopicName = "general") -> SeedPreview:
    """An operator's wish, so it waits for the model. Edits, pins and removals hold. Without a model: as it is."""
    return preview_out(await services.previews.regenerate(user_id, topic=topic))


@router.patch("/seed/entries/{entry_id}", dependencies=[GATEWAY], summary="Edit, pin or remove an entry")
async def change_entry(
    user_id: schemas.AnyId,
    entry_id: schemas.EntryId,
    body: schemas.SeedEntryUpdate,
    services: Wired,
    topic: schemas.TopicName = "general",
) -> SeedPreview:
    """It holds for every seed to come; a pinned entry is always in it. A note is changed with PATCH /notes/{id}."""
    return preview_out(await services.previews.change(user_id, entry_id, given_text(body), topic=topic))


@router.delete("/seed/entries/{entry_id}", dependencies=[GATEWAY], summary="Take an entry out")
async def remove_entry(
    user_id: schemas.AnyId, entry_id: schemas.EntryId, services: Wired, topic: schemas.TopicName = "general"
) -> SeedPreview:
    """It is in no seed any more, nor in another wording of a summary; `removed: false` puts it back."""
    return preview_out(await services.previews.change(user_id, entry_id, {"removed": True}, topic=topic))


@router.get("/summaries", dependencies=[DASHBOARD], summary="What a model made of a user's conversations")
async def list_summaries(
    user_id: schemas.AnyId, query: Annotated[PageQuery, Query()], tx: ReadTx
) -> ListOf[schemas.Summary]:
    """Every version, the newest first: its entries, what did not stand, and what it cost."""
    return listing(await history.user_summaries(tx, user_id, page_of(query)), summary_out)
