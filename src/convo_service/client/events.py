"""What a streamed turn tells, read off server-sent events."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from convo_service.client.problems import of_problem
from convo_service.schemas import Problem, ReplyDelta, Turn


@dataclass(frozen=True, slots=True)
class TurnCreated:
    """The message is stored and has its conversation; the model is being asked."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """The whole reply, as it is stored."""

    turn: Turn


TurnEvent = TurnCreated | ReplyDelta | TurnCompleted


class StreamCut(Exception):
    """The stream ended without its last event; the turn goes on, and the same message id gets its reply."""


async def read(pieces: AsyncIterator[bytes]) -> AsyncIterator[TurnEvent]:
    """The events of a turn; an `error` event comes out as the ProblemError that it stands for."""
    async for name, data in _fields(pieces):
        if name == "turn.created":
            yield TurnCreated(Turn.model_validate_json(data))
        elif name == "reply.delta":
            yield ReplyDelta.model_validate_json(data)
        elif name == "turn.completed":
            yield TurnCompleted(Turn.model_validate_json(data))
            return
        elif name == "error":
            raise of_problem(Problem.model_validate_json(data))
    raise StreamCut("The stream ended in the middle of a turn")


async def _fields(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, bytes]]:
    """Name and data of each event; comments, which keep the connection alive, are passed over."""
    name, data = "", b""
    async for line in _lines(pieces):
        if line.startswith(b"event:"):
            name = line[6:].strip().decode()
        elif line.startswith(b"data:"):
            data += line[5:]
        elif not line and name:
            yield name, data
            name, data = "", b""


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines end with a line feed alone: a reply may hold U+2028 and others that httpx would take for an end."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")
