"""Users and their profiles on the wire."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from convo_service.schemas.base import (
    EMAIL,
    Flag,
    IdentityText,
    Name,
    PageQuery,
    Published,
    Request,
    Response,
    SearchText,
    TopicName,
    number,
)
from convo_service.schemas.conversations import Conversation

_EMAIL = re.compile(r"[^\s@<>\"]+@[^\s@<>\"]+")


def _email(text: str) -> str:
    if text and not _EMAIL.fullmatch(text):
        raise ValueError("must look like name@example.com")
    return text


def _empty_is_unknown(text: str | None) -> str | None:
    return text or None


class Lookup(Request):
    """Find a user."""

    identity: IdentityText


class LinkIdentity(Request):
    """Give a user another identity."""

    identity: IdentityText


class Reset(Request):
    """Open a new conversation by hand."""

    topic: TopicName = "general"
    forget: Flag = Field(False, description="Seed the new conversation with the profile alone")


class Pause(Request):
    """Silence the bot while a person answers; BOT_PAUSE_MINUTES when nothing is said."""

    minutes: Annotated[float, Field(gt=0, le=43_200, allow_inf_nan=False), BeforeValidator(number)] | None = None


class ProfileUpdate(Request):
    """The given fields are replaced, the others stay; null or an empty text empties a field."""

    name: Annotated[Name | None, AfterValidator(_empty_is_unknown)] = None
    last_name: Annotated[Name | None, AfterValidator(_empty_is_unknown)] = None
    ragione_sociale: Annotated[Name | None, AfterValidator(_empty_is_unknown)] = None
    email: Annotated[
        Annotated[Name, AfterValidator(_email), Published(pattern=EMAIL)] | None, AfterValidator(_empty_is_unknown)
    ] = None


class UserQuery(PageQuery):
    """Search users by name and company."""

    q: SearchText | None = None


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
    paused_until: datetime | None = Field(description="Until then a person answers, and the bot does not")
    window_closes_at: datetime | None = Field(
        description="The end of WhatsApp's customer-service window, 24 hours after the last inbound message: after it "
        "only template messages are delivered. Null when there was none"
    )


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
