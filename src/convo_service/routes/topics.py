"""Topics that are described: what their messages are about, and the template of their conversations."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from convo_service import schemas
from convo_service.domain.conditions import etag
from convo_service.routes.convert import listing, page_of, topic_out, whole
from convo_service.routes.deps import ADMIN, DASHBOARD, Given, Now, ReadTx, Wired
from convo_service.schemas import ListOf, PageQuery, TopicName, TopicUpdate
from convo_service.services import topics

router = APIRouter(prefix="/topics", tags=["topics"])

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "It is what the ETag of If-None-Match names"}}
CREATED: dict[int | str, dict[str, Any]] = {201: {"model": schemas.Topic, "description": "It is new"}}


@router.get("", dependencies=[DASHBOARD], summary="The topics")
async def list_topics(query: Annotated[PageQuery, Query()], tx: ReadTx) -> ListOf[schemas.Topic]:
    """What was changed last comes first."""
    return listing(await topics.listed(tx, page_of(query)), topic_out, key="name")


@router.get(
    "/{name}", dependencies=[DASHBOARD], summary="One topic", response_model=schemas.Topic, responses=NOT_MODIFIED
)
async def get_topic(name: TopicName, given: Given, tx: ReadTx, response: Response) -> schemas.Topic | Response:
    """With the ETag that a change has to name."""
    found = await topics.get(tx, name)
    tag = topics.version(found)
    if given.is_known(tag):
        return Response(status_code=304, headers={"ETag": etag(tag)})
    response.headers["ETag"] = etag(tag)
    return topic_out(found)


@router.put("/{name}", dependencies=[ADMIN], summary="Describe a topic", responses=CREATED)
async def put_topic(
    name: TopicName, body: TopicUpdate, given: Given, services: Wired, at: Now, response: Response
) -> schemas.Topic:
    """All of it. A change needs If-Match with the ETag that was read: 428 without, 412 when somebody was faster."""
    found, is_new = await services.catalogs.put_topic(name, whole(body), given, now=at)
    response.headers["ETag"] = etag(topics.version(found))
    response.status_code = 201 if is_new else 200
    return topic_out(found)


@router.delete("/{name}", dependencies=[ADMIN], status_code=204, summary="Describe a topic no more")
async def delete_topic(name: TopicName, given: Given, services: Wired) -> None:
    """No message is recognised as one of it any more; its conversations stay as they are."""
    await services.catalogs.delete_topic(name, given)
