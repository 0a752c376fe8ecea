"""Turns on the wire: a message goes in, the reply comes out."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from convo_service.schemas.base import MessageText, Response
from convo_service.schemas.conversations import Conversation, GetOrCreate, InboundMessage

MAX_INSTRUCTIONS = 50_000


class NewTurn(GetOrCreate):
    """A message to be answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "identity": "+39 333 123 4567",
                "message": {"id": "wamid.HBgM1", "text": "Buongiorno, a che punto è il mio ordine?"},
            }
        }
    )

    message: InboundMessage
    instructions: Annotated[MessageText, StringConstraints(max_length=MAX_INSTRUCTIONS)] | None = Field(
        None, description="For this turn, in place of the template's and of INSTRUCTIONS"
    )


class TurnReply(Response):
    """What the bot said."""

    message_id: str
    text: str


class TurnUsage(Response):
    """What the reply used; tokens are null when OpenAI did not say, money when the model has no known price."""

    model: str
    input_tokens: int | None
    cached_input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    baseline_input_tokens: int | None = Field(description="What one endless conversation would have used (estimated)")


class TurnError(Response):
    """Why there is no reply."""

    code: str
    message: str


class Turn(Response):
    """A message and the one reply that it gets."""

    object: Literal["turn"] = "turn"
    id: str
    user_id: str
    status: Literal["in_progress", "completed", "failed"]
    conversation: Conversation | None
    created: bool
    duplicate: bool
    command: Literal["new_conversation"] | None
    paused: bool = Field(description="A person answers in the bot's place: there is no reply, and will be none")
    reply: TurnReply | None
    usage: TurnUsage | None
    latency_ms: int | None
    error: TurnError | None


class ReplyDelta(Response):
    """A piece of the reply, as it comes."""

    text: str


class StreamEvent(Response):
    """One server-sent event; `data` is JSON."""

    event: Literal["turn.created", "reply.delta", "turn.completed", "error"]
    data: str
