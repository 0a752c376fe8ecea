"""Is the process alive, and can it do its work."""

from fastapi import APIRouter

from convo_service.db import migrations
from convo_service.errors import MigrationsPending
from convo_service.routes.deps import ReadTx
from convo_service.schemas import Health

router = APIRouter(tags=["health"])


@router.get("/livez", summary="The process answers")
async def livez() -> Health:
    """Always ok: restart the process when this fails."""
    return Health()


@router.get("/readyz", summary="The database answers, and is of a version that this code works with")
async def readyz(tx: ReadTx) -> Health:
    """Send traffic when this is ok."""
    if not migrations.serves(await migrations.current_revision(tx)):
        raise MigrationsPending
    return Health()
