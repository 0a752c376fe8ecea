"""Export, erasure and merge on the wire."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from convo_service.schemas.base import AnyId, Request, Response

Row = dict[str, Any]


class Merge(Request):
    """Merge a user into another."""

    into: AnyId = Field(description="The user who stays")


class Erasure(Response):
    """The receipt of an erasure; nothing in it says who was erased."""

    object: Literal["erasure"] = "erasure"
    id: str
    state: Literal["in_progress", "completed"]
    requested_at: datetime
    completed_at: datetime | None
    rows_left: bool = Field(description="Whether rows are still to go; nobody is served from them")
    rows: dict[str, int] = Field(description="Rows that are gone, by table")
    remote_conversations: int = Field(description="Conversations that are deleted at OpenAI")
    remote_items: int = Field(description="Items of theirs")
    stored_responses: int = Field(description="Stored responses that are deleted at OpenAI")
    remotes_left: int = Field(description="Conversations and responses that are still to be deleted at OpenAI")


class ImportedRows(Response):
    """Rows of the bot's own tables, as they were set aside."""

    conversations: list[Row]
    messages: list[Row]
    profiles: list[Row]


class UserExport(Response):
    """All that is stored about a person. Rows have the names of the columns; each list is oldest first."""

    object: Literal["user_export"] = "user_export"
    exported_at: datetime
    user: Row
    identities: list[Row]
    profile: Row | None
    conversations: list[Row] = Field(description="Each with its `seed`, or null")
    messages: list[Row]
    notes: list[Row]
    summaries: list[Row]
    seed_edits: list[Row]
    turns: list[Row]
    model_calls: list[Row] = Field(description="The ledger")
    openings: list[Row] = Field(description="Conversations that are being opened")
    merges: list[Row] = Field(description="Users who were merged into this one")
    active_days: list[Row] = Field(description="Days on which the user wrote, as analytics count them")
    imported: ImportedRows
