"""The wire contract: all request and response models. The client for gateways imports this and nothing else of ours."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

MAX_BATCH = 20
_EMAIL = re.compile(r"[^\s@<>\"]+@[^\s@<>\"]+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

Direction = Literal["inbound", "outbound"]
CreatedReason = Literal[
    "first_contact", "idle_timeout", "message_cap", "user_reset", "operator", "topic_change", "imported",
    "lost_upstream",
]  # fmt: skip


def _storable(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return text


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text.strip()


def _visible(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _written_out(value: object) -> object:
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("must be an RFC 3339 date and time")
    return value


def _in_range(value: datetime) -> datetime:
    """Bring an instant to UTC; what a database or a subtraction could not bear is refused here."""
    if not 1970 <= value.year <= 9000:
        raise ValueError("must lie between the years 1970 and 9000")
    return value.astimezone(UTC)


def _email(text: str) -> str:
    if text and not _EMAIL.fullmatch(text):
        raise ValueError("must look like name@example.com")
    return text


def _empty_is_unknown(text: str | None) -> str | None:
    return text or None


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_range)]
MessageText = Annotated[str, AfterValidator(_storable), AfterValidator(_visible), Field(min_length=1)]
Name = Annotated[str, StringConstraints(max_length=200), AfterValidator(_one_line)]
ExternalId = Annotated[
    str, StringConstraints(min_length=1, max_length=256), AfterValidator(_one_line), Field(min_length=1)
]
IdentityText = Annotated[str, StringConstraints(max_length=200), AfterValidator(_one_line), Field(min_length=1)]
TopicName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
SearchText = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_storable)]
AnyId = Annotated[str, StringConstraints(max_length=128), AfterValidator(_storable)]


class Request(BaseModel):
    """What a caller sends; an unknown field is an error, because it is always a misunderstanding."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Response(BaseModel):
    """What a caller gets."""

    model_config = ConfigDict(from_attributes=True)


Item = TypeVar("Item")


class ListOf(Response, Generic[Item]):
    """One page of a list."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Usage(Request):
    """What a model call used, as the gateway that made it reports it; tokens, and US dollars."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_one_line)]
    input_tokens: int = Field(ge=0, le=10**9)
    cached_input_tokens: int = Field(0, ge=0, le=10**9)
    output_tokens: int = Field(ge=0, le=10**9)
    cost_usd: float | None = Field(None, ge=0, le=10**6, allow_inf_nan=False)
    baseline_input_tokens: int | None = Field(None, ge=0, le=10**9)


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
    topic: TopicName = "general"
    template: TopicName | None = None
    seed_message: bool = Field(False, description="Also put the message into a newly created OpenAI conversation")


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


class Lookup(Request):
    """Find a user."""

    identity: IdentityText


class LinkIdentity(Request):
    """Give a user another identity."""

    identity: IdentityText


class Reset(Request):
    """Open a new conversation by hand."""

    topic: TopicName = "general"
    forget: bool = Field(False, description="Seed the new conversation with the profile alone")


class ProfileUpdate(Request):
    """The given fields are replaced, the others stay; null or an empty text empties a field."""

    name: Annotated[Name | None, AfterValidator(_empty_is_unknown)] = None
    last_name: Annotated[Name | None, AfterValidator(_empty_is_unknown)] = None
    ragione_sociale: Annotated[Name | None, AfterValidator(_empty_is_unknown)] = None
    email: Annotated[Annotated[Name, AfterValidator(_email)] | None, AfterValidator(_empty_is_unknown)] = None


class PageQuery(Request):
    """Where a page of a list begins."""

    limit: int = Field(20, ge=1, le=100)
    after: AnyId | None = None
    before: AnyId | None = None
    order: Literal["asc", "desc"] = "desc"


class ThreadQuery(PageQuery):
    """A thread or a chain is read from its beginning."""

    order: Literal["asc", "desc"] = "asc"


class UserQuery(PageQuery):
    """Search users by name and company."""

    q: SearchText | None = None


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


class GotOrCreated(Response):
    """The conversation to use at OpenAI.

    `input` is what of the message belongs to the model: null for a command alone, whose `reply` the gateway sends.
    """

    conversation: Conversation
    created: bool
    duplicate: bool
    command: Literal["new_conversation"] | None
    reply: str | None
    input: str | None
    message: Message | None
    degraded: Literal["stale_conversation"] | None


class User(Response):
    """A person who writes."""

    object: Literal["user"] = "user"
    id: str
    identities: list[str]
    display_name: str | None
    cohort: Literal["window", "holdout"]
    active_conversations: list[Conversation]
    conversation_count: int
    message_count: int
    first_seen_at: datetime
    last_seen_at: datetime


class Profile(Response):
    """Verified facts about a client, as far as they are known."""

    object: Literal["profile"] = "profile"
    user_id: str
    name: str | None
    last_name: str | None
    ragione_sociale: str | None
    email: str | None
    found_all_info: bool
    updated_at: datetime | None


class SeedEntry(Response):
    """One part of a seed, and the messages it rests on."""

    section: str
    text: str
    message_ids: list[str]
    source: Literal["profile", "note", "llm", "digest"]
    pinned: bool


class SeedPreview(Response):
    """What the next conversation would start with, and why."""

    text: str
    generator: Literal["llm", "digest", "none"]
    tokens: int
    entries: list[SeedEntry]


class Health(Response):
    """The service answers."""

    status: Literal["ok"] = "ok"


class Problem(Response):
    """An error, as RFC 9457 has it; `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    request_id: str
    errors: list[dict[str, Any]] | None = None
