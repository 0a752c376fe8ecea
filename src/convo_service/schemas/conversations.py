"""Conversations and messages on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from convo_service.schemas.base import (
    ONE_LINE,
    AnyId,
    Direction,
    ExternalId,
    Flag,
    IdentityText,
    Instant,
    MessageText,
    PageQuery,
    Published,
    Request,
    Response,
    SearchWords,
    TopicName,
    number,
    one_line,
)

MAX_BATCH = 20
Count = Annotated[int, Field(ge=0, le=10**9), BeforeValidator(number)]
CreatedReason = Literal[
    "first_contact", "idle_timeout", "message_cap", "user_reset", "operator", "topic_change", "imported",
    "lost_upstream",
]  # fmt: skip


class Usage(Request):
    """What a model call used, as the gateway that made it reports it; tokens, and US dollars."""

    model: Annotated[
        str, StringConstraints(min_length=1, max_length=100), AfterValidator(one_line), Published(pattern=ONE_LINE)
    ]
    input_tokens: Count
    cached_input_tokens: Count = 0
    output_tokens: Count
    cost_usd: Annotated[float, Field(ge=0, le=10**6, allow_inf_nan=False), BeforeValidator(number)] | None = None
    baseline_input_tokens: Count | None = None


class InboundMessage(Request):
    """What the user wrote; `id` is the gateway's id of it."""

    id: ExternalId
    text: MessageText
    sent_at: Instant | None = None


class GetOrCreate(Request):
    """Which conversation is the right one for this user now, and for this message."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "identity": "+39 333 123 4567",
                "message": {"id": "wamid.HBgM1", "text": "Buongiorno, a che punto è il mio ordine?"},
            }
        }
    )

    identity: IdentityText = Field(description="Phone number, BSUID, `usr_...`, or whatever the gateway has")
    aliases: list[IdentityText] = Field(default_factory=list, max_length=10)
    message: InboundMessage | None = None
    topic: TopicName | None = Field(None, description="Null: `general`, or what the words say with TOPICS=auto")
    template: TopicName | None = None
    seed_message: Flag = Field(False, description="Also put the message into a newly created OpenAI conversation")


class AppendedMessage(Request):
    """What was said elsewhere."""

    direction: Direction
    text: MessageText
    id: ExternalId | None = None
    sent_at: Instant | None = None
    usage: Usage | None = None


class AppendMessages(Request):
    """A batch, in the order in which it was said."""

    messages: list[AppendedMessage] = Field(min_length=1, max_length=MAX_BATCH)


class MessageEdit(Request):
    """Give a message another text."""

    text: MessageText


class NamedMessageEdit(Request):
    """The same, by the ids of the gateway."""

    identity: IdentityText
    id: ExternalId = Field(description="The gateway's id of the message that is edited, and not of the edit")
    text: MessageText
    sent_at: Instant | None = Field(None, description="When it was edited: of two edits the later one stands")


class NamedRevocation(Request):
    """Take a message back, by the ids of the gateway."""

    identity: IdentityText
    id: ExternalId = Field(description="The gateway's id of the message that is revoked, and not of the revocation")


class ConversationQuery(PageQuery):
    """Filters of the history; the times are exclusive."""

    user_id: AnyId | None = None
    is_active: bool | None = None
    topic: AnyId | None = None
    template: AnyId | None = None
    created_reason: CreatedReason | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    last_message_after: Instant | None = None
    last_message_before: Instant | None = None


class SearchQuery(PageQuery):
    """Messages that hold every word; the last one may be the beginning of a word."""

    q: SearchWords


class Covers(Response):
    """The messages that a seed was made from."""

    from_message_id: str | None
    to_message_id: str | None
    count: int


class Seed(Response):
    """What a conversation started with."""

    text: str
    generator: Literal["llm", "digest", "none"]
    tokens: int
    covers: Covers | None


class Conversation(Response):
    """One conversation at OpenAI, that is one window of activity."""

    object: Literal["conversation"] = "conversation"
    id: str
    user_id: str
    identity: str
    is_active: bool
    cohort: Literal["window", "holdout"]
    topic: str
    template: str | None
    template_version: int | None
    created_at: datetime
    last_message_at: datetime
    expires_at: datetime | None
    closed_at: datetime | None
    created_reason: CreatedReason
    closed_reason: CreatedReason | None
    parent_conversation_id: str | None
    message_count: int
    seed: Seed | None


class Message(Response):
    """What was said, by either side."""

    object: Literal["message"] = "message"
    id: str
    conversation_id: str | None
    user_id: str
    direction: Direction
    text: str
    external_id: str | None
    sent_at: datetime
    received_at: datetime
    late: bool
    edited_at: datetime | None = Field(description="Since then it says this; what it said before is not kept")
    revoked_at: datetime | None = Field(description="Since then it says nothing: `text` is empty")


class Item(Response):
    """A message item as OpenAI's Responses and Conversations take it."""

    type: Literal["message"]
    role: Literal["developer", "user", "assistant"]
    content: str


class Revocation(Response):
    """What became of a revocation; `message` null: it has not come yet, and is taken back when it comes."""

    object: Literal["revocation"] = "revocation"
    message: Message | None


class GotOrCreated(Response):
    """The conversation to use at OpenAI.

    `input` is what of the message belongs to the model: null for a command alone, whose `reply` the gateway sends, and
    while a person answers in the bot's place.
    """

    conversation: Conversation
    created: bool
    duplicate: bool
    command: Literal["new_conversation"] | None
    reply: str | None
    input: str | None
    message: Message | None
    degraded: Literal["stale_conversation"] | None
    paused_until: datetime | None = Field(description="Until then a person answers: do not; `input` is null")
    missed: list[Item] = Field(description="What was said in a pause, as items for OpenAI: put them before `input`")
