"""Notes, seeds and summaries on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from convo_service.schemas.base import (
    VISIBLE,
    Direction,
    Flag,
    PageQuery,
    Published,
    Request,
    Response,
    storable,
    visible,
)
from convo_service.schemas.conversations import Covers

NoteKind = Literal["issue", "preference", "note"]
NoteStatus = Literal["open", "resolved"]
NoteText = Annotated[
    str,
    StringConstraints(max_length=500),
    AfterValidator(storable),
    AfterValidator(visible),
    Published(minLength=1, pattern=VISIBLE),
]


def _without_defaults(schema: dict[str, Any]) -> None:
    """The defaults of an update are never read: a field that is not given stays as it is."""
    schema["minProperties"] = 1
    for field in schema["properties"].values():
        field.pop("default", None)


class Update(Request):
    """The given fields are replaced, the others stay."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    @model_validator(mode="after")
    def _gives_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must give at least one field")
        return self


class NewNote(Request):
    """An open issue, a preference, or anything else that every new conversation should start with."""

    kind: NoteKind
    text: NoteText


class NoteUpdate(Update):
    """The given fields are replaced; `resolved` takes a note out of the seeds, `open` brings it back."""

    kind: NoteKind = "note"
    text: NoteText = ""
    status: NoteStatus = "open"


class NoteQuery(PageQuery):
    """Filters of a user's notes."""

    kind: NoteKind | None = None
    status: NoteStatus | None = None


class Note(Response):
    """An open issue, a preference or a note; `message_ids` is what a summary found it in."""

    object: Literal["note"] = "note"
    id: str
    user_id: str
    kind: NoteKind
    text: str
    status: NoteStatus
    source: Literal["operator", "gateway", "summary"]
    message_ids: list[str]
    resolved_by: list[str]
    created_at: datetime
    resolved_at: datetime | None


class SeedEntryUpdate(Update):
    """The given fields are replaced; `removed: false` brings an entry back that was taken out."""

    text: Annotated[NoteText, StringConstraints(max_length=300)] = ""
    pinned: Flag = False
    removed: Flag = False


class Quote(Response):
    """What was said in a message, cut at 300 characters."""

    message_id: str
    direction: Direction
    sent_at: datetime
    text: str


class SeedEntry(Response):
    """One part of a seed, and the messages it rests on. The profile has no `id`: it is changed as a profile."""

    id: str | None
    section: Literal["profile", "topics", "issues", "preferences", "notes", "history"]
    text: str
    message_ids: list[str]
    source: Literal["profile", "note", "llm", "digest"]
    pinned: bool
    quotes: list[Quote]


class SeedPreview(Response):
    """What the next conversation would start with, and why."""

    text: str
    generator: Literal["llm", "digest", "none"]
    tokens: int
    entries: list[SeedEntry]
    removed: list[SeedEntry] = Field(
        description="Entries that were taken out, and stay out until they are put back; and edited ones, as they were, "
        "that have no place in this seed"
    )


class SummaryUsage(Response):
    """What a summary used; `cost_usd` is null when the model's price is not known."""

    model: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_usd: float | None


class SummaryEntry(Response):
    """One entry of a summary, and the messages it rests on."""

    text: str
    message_ids: list[str]


class Summary(Response):
    """One version of what a model made of a conversation. `dropped` counts the entries that did not stand, by why."""

    object: Literal["summary"] = "summary"
    id: str
    user_id: str
    conversation_id: str
    state: Literal["asked", "kept", "rejected", "failed", "late"]
    created_at: datetime
    prompt_hash: str
    covers: Covers
    topics: list[SummaryEntry]
    open_issues: list[SummaryEntry]
    preferences: list[SummaryEntry]
    facts: list[SummaryEntry]
    dropped: dict[str, int]
    usage: SummaryUsage
