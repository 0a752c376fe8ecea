"""Templates and topics on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from convo_service.schemas.base import (
    ONE_LINE_WITH_SOMETHING,
    MessageText,
    Published,
    Request,
    Response,
    TopicName,
    number,
    one_line,
    visible,
)
from convo_service.schemas.turns import MAX_INSTRUCTIONS

MAX_DESCRIPTION = 2000

SeedSection = Literal["profile", "topics", "issues", "preferences", "notes", "history"]
Language = Literal["it", "en"]

TemplateName = TopicName  # the same letters
ModelName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    AfterValidator(one_line),
    AfterValidator(visible),
    Published(pattern=ONE_LINE_WITH_SOMETHING),
]


def _each_once(sections: list[SeedSection] | None) -> list[SeedSection] | None:
    return None if sections is None else list(dict.fromkeys(sections))


class TemplateUpdate(Request):
    """All of a template: what is not given, or null, is the installation's."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "instructions": "Sei l'assistente del Molino Brambilla. Rispondi in breve.",
                "timeout_hours": 72,
                "language": "it",
            }
        }
    )

    instructions: Annotated[MessageText, StringConstraints(max_length=MAX_INSTRUCTIONS)] | None = Field(
        None, description="What turns tell the model; the same for all users, so that OpenAI's prompt cache holds it"
    )
    model: ModelName | None = Field(None, description="The model that answers turns")
    timeout_hours: Annotated[float, Field(gt=0, le=8760, allow_inf_nan=False), BeforeValidator(number)] | None = Field(
        None, description="The window of conversations that are opened with it"
    )
    max_messages: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(number)] | None = Field(
        None, description="Their cap"
    )
    seed_sections: Annotated[list[SeedSection], Field(max_length=6), AfterValidator(_each_once)] | None = Field(
        None, description="What their seeds hold; null: all there is, an empty list: nothing"
    )
    language: Language | None = Field(None, description="Of seeds, summaries and replies to commands")
    command_reply: Annotated[MessageText, StringConstraints(max_length=1000)] | None = Field(
        None, description="What is said to `/new` alone"
    )


class TopicUpdate(Request):
    """All of a topic."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"description": "Fatture e pagamenti: bonifico, nota di credito, IVA", "template": "support"}
        }
    )

    description: Annotated[MessageText, StringConstraints(max_length=MAX_DESCRIPTION)] | None = Field(
        None, description="The words that its messages have, between commas; without it none is recognised"
    )
    template: TemplateName | None = Field(None, description="Of its conversations, unless the caller names another")


class Topic(Response):
    """A topic that is described."""

    object: Literal["topic"] = "topic"
    name: str
    description: str | None
    template: str | None
    updated_at: datetime


class Template(Response):
    """A template in a version; null is the installation's. The version is its ETag."""

    object: Literal["template"] = "template"
    name: str
    version: int
    instructions: str | None
    model: str | None
    timeout_hours: float | None
    max_messages: int | None
    seed_sections: list[SeedSection] | None
    language: Language | None
    command_reply: str | None
    created_at: datetime = Field(description="When this version was made")


class Command(Response):
    """A word that a user may write at the beginning of a message."""

    object: Literal["command"] = "command"
    command: str
    does: Literal["new_conversation"] = "new_conversation"
    name: str | None = Field(description="What to register at WhatsApp; null for what it would not take")
    description: str
    topics: list[str] = Field(description="What may follow it, to open a new conversation of that topic")
