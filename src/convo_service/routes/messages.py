"""Messages of everybody: the search."""

from typing import Annotated

from fastapi import APIRouter, Query

from convo_service import schemas
from convo_service.routes.convert import listing, message_out, page_of
from convo_service.routes.deps import DASHBOARD, ReadTx
from convo_service.services import search

router = APIRouter(prefix="/messages", tags=["messages"])


@router.get("", dependencies=[DASHBOARD], summary="Search what was said")
async def search_messages(
    query: Annotated[schemas.SearchQuery, Query()], tx: ReadTx
) -> schemas.ListOf[schemas.Message]:
    """The newest first; all words have to be there, the last one perhaps unfinished."""
    return listing(await search.messages(tx, query.q, page_of(query)), message_out)
