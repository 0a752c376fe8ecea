"""The commands that users may write, for gateways that show them: WhatsApp has a list of them for each number."""

from fastapi import APIRouter

from convo_service import schemas
from convo_service.routes.deps import GATEWAY, Wired
from convo_service.schemas import ListOf

router = APIRouter(prefix="/commands", tags=["commands"])


@router.get("", dependencies=[GATEWAY], summary="The commands that users may write")
async def list_commands(services: Wired, template: schemas.TemplateName | None = None) -> ListOf[schemas.Command]:
    """All of them, in the order of RESET_COMMANDS, in the language of a template, else of the default one.

    `name` and `description` are what WhatsApp wants to be told of a command (at most 32 and 256 characters).
    """
    known = await services.commands.known(template)
    data = [
        schemas.Command(command=word, name=known.name(word), description=known.description, topics=list(known.topics))
        for word in known.words
    ]
    first, last = (data[0].command, data[-1].command) if data else (None, None)
    return ListOf(data=data, first_id=first, last_id=last, has_more=False)
