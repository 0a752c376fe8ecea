"""Adapters: gateways that are set up, and not programmed, in the words of each."""

from fastapi import APIRouter

from convo_service import schemas
from convo_service.routes.convert import call_of_evolution
from convo_service.routes.deps import GATEWAY, Wired

router = APIRouter(prefix="/adapters", tags=["adapters"])


@router.post("/evolution", dependencies=[GATEWAY], summary="Answer a message of Evolution API")
async def answer_evolution(body: schemas.EvolutionMessage, services: Wired) -> schemas.EvolutionAnswer:
    """A turn, for the webhook of an "Evolution Bot": `apiUrl` is this path, `apiKey` a key of the scope `gateway`.

    It has no message id, so each call is a message. What the business itself wrote is neither stored nor answered.
    """
    if body.inputs.from_me:
        return schemas.EvolutionAnswer(message="")
    begun = await services.turns.begin(call_of_evolution(body, services.settings))
    reply = (await services.turns.finish(begun)).reply
    return schemas.EvolutionAnswer(message=reply.text if reply is not None else "")
