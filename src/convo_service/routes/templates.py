"""Templates: what a kind of conversation is opened with."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from convo_service import schemas
from convo_service.domain.conditions import etag
from convo_service.routes.convert import listing, page_of, template_out, whole
from convo_service.routes.deps import ADMIN, DASHBOARD, Given, Now, ReadTx, Wired
from convo_service.schemas import ListOf, PageQuery, TemplateName, TemplateUpdate
from convo_service.services import templates

router = APIRouter(prefix="/templates", tags=["templates"])

VersionNumber = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="As it was in this version")]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "It is what the ETag of If-None-Match names"}}
CREATED: dict[int | str, dict[str, Any]] = {201: {"model": schemas.Template, "description": "It is new"}}


@router.get("", dependencies=[DASHBOARD], summary="The templates")
async def list_templates(query: Annotated[PageQuery, Query()], tx: ReadTx) -> ListOf[schemas.Template]:
    """Each in its current version; what was changed last comes first."""
    return listing(await templates.listed(tx, page_of(query)), template_out, key="name")


@router.get(
    "/{name}",
    dependencies=[DASHBOARD],
    summary="One template",
    response_model=schemas.Template,
    responses=NOT_MODIFIED,
)
async def get_template(
    name: TemplateName, given: Given, tx: ReadTx, response: Response, version: VersionNumber = None
) -> schemas.Template | Response:
    """As it is now, or as it was in a version: a conversation says which one it was opened with."""
    found = await templates.get(tx, name, version)
    if given.is_known(found.version):
        return Response(status_code=304, headers={"ETag": etag(found.version)})
    response.headers["ETag"] = etag(found.version)
    return template_out(found)


@router.put("/{name}", dependencies=[ADMIN], summary="Make or change a template", responses=CREATED)
async def put_template(
    name: TemplateName, body: TemplateUpdate, given: Given, services: Wired, at: Now, response: Response
) -> schemas.Template:
    """A change makes a new version, for conversations that are opened from now on.

    It needs If-Match with the ETag that was read, so that two people do not overwrite each other: 428 without, 412 when
    somebody was faster. A template that is not there yet needs none.
    """
    found, is_new = await services.catalogs.put_template(name, whole(body), given, now=at)
    response.headers["ETag"] = etag(found.version)
    response.status_code = 201 if is_new else 200
    return template_out(found)


@router.delete("/{name}", dependencies=[ADMIN], status_code=204, summary="Delete a template")
async def delete_template(name: TemplateName, given: Given, services: Wired) -> None:
    """Nobody can choose it any more; conversations that were opened with it go on as they are."""
    await services.catalogs.delete_template(name, given)
