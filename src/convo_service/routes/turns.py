"""Turns: the whole exchange in one call, as one answer or as a stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from convo_service import schemas
from convo_service.routes import problems
from convo_service.routes.convert import call_of, turn_out
from convo_service.routes.deps import ANYBODY, GATEWAY, ReadTx, Services, Wired
from convo_service.routes.slim import SlimRoute
from convo_service.services import turn_records
from convo_service.services.patience import goes_on
from convo_service.services.turn_records import TurnView

router = APIRouter(prefix="/turns", tags=["turns"])
hot = APIRouter(prefix="/turns", tags=["turns"], route_class=SlimRoute)

PATH = "/turns/stream"
PING_SECONDS = 15.0  # of silence, after which a proxy is told that the stream is alive
UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # no proxy keeps a piece back
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`turn.created`, then `reply.delta` for each piece of the reply, at last `turn.completed`, or "
        "`error` with a problem",
        "content": {"text/event-stream": {"itemSchema": schemas.StreamEvent.model_json_schema()}},
    }
}


@hot.post("", dependencies=[GATEWAY], summary="Answer a message")
async def create_turn(body: schemas.NewTurn, services: Wired) -> schemas.Turn:
    """Store the message, get or create its conversation, ask the model, and store the reply and what it used.

    Messages of one user are answered one at a time, in the order in which they arrived. A message id has one reply:
    its repeat gets the same one, with `duplicate`. After a failure the repeat tries again.
    """
    begun = await services.turns.begin(call_of(body, services.settings), body.instructions)
    return turn_out(await services.turns.finish(begun))


@dataclass(frozen=True, slots=True)
class Answering:
    """A turn that is being answered, whether anybody listens or not."""

    created: schemas.Turn
    pieces: asyncio.Queue[str | None]  # None: it is over
    done: asyncio.Task[TurnView]


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


@hot.post(
    "/stream",
    dependencies=[GATEWAY],
    summary="Answer a message, as a stream",
    response_class=EventStream,
    responses=STREAM,
)
async def stream_turn(body: schemas.NewTurn, services: Wired) -> EventStream:
    """The same as server-sent events. A client that goes away changes nothing: the reply is stored all the same."""
    return EventStream(_events(await _begin(body, services)), headers=UNBUFFERED)


async def _begin(body: schemas.NewTurn, services: Services) -> Answering:
    """What can be refused is refused before the stream begins, with a status of its own.

    The answering begins here: a client that is gone already never lets the stream itself run.
    """
    begun = await services.turns.begin(call_of(body, services.settings), body.instructions)
    view = TurnView(begun.turn, begun.message, begun.answer.conversation, duplicate=begun.is_done)
    known = {"created": begun.answer.created or begun.turn.created}
    known["paused"] = begun.turn.paused or (begun.answer.is_silent and not begun.is_done)
    created = turn_out(view).model_copy(update=known)
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    done = goes_on(services.turns.finish(begun, pieces.put_nowait))
    done.add_done_callback(lambda _done: pieces.put_nowait(None))
    return Answering(created, pieces, done)


async def _events(answering: Answering) -> AsyncIterator[bytes]:
    yield _event("turn.created", answering.created.model_dump_json())
    async for piece in _pieces(answering.pieces):
        yield piece
    if (error := answering.done.exception()) is not None:
        yield _event("error", json.dumps(problems.body(problems.known(error), PATH)))
    else:
        yield _event("turn.completed", turn_out(answering.done.result()).model_dump_json())


async def _pieces(pieces: asyncio.Queue[str | None]) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(PING_SECONDS):
                text = await pieces.get()
        except TimeoutError:
            yield KEEPALIVE_COMMENT
            continue
        if text is None:
            return
        yield _event("reply.delta", schemas.ReplyDelta(text=text).model_dump_json())


def _event(name: str, data: str) -> bytes:
    return format_sse_event(event=name, data_str=data)


@router.get("/{turn_id}", dependencies=[ANYBODY], summary="One turn")
async def get_turn(turn_id: schemas.AnyId, tx: ReadTx) -> schemas.Turn:
    """How it stands, or what came of it."""
    return turn_out(await turn_records.view(tx, turn_id))
