"""What every request and answer is made of: texts, times, ids, pages and problems."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StringConstraints,
)
from pydantic_core import CoreSchema

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# What the functions below refuse, in the patterns that the published document has: JSON cannot hold half of a
# surrogate pair, and "blank" is what `str.strip` takes away.
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_BLANKS = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_SOMETHING = rf"[^{_CONTROLS}{_BLANKS}]"
STORABLE = r"^[^\x00]*$"
VISIBLE = rf"^[^\x00]*{_SOMETHING}[^\x00]*$"
ONE_LINE = rf"^[^{_CONTROLS}]*$"
ONE_LINE_WITH_SOMETHING = rf"^[^{_CONTROLS}]*{_SOMETHING}[^{_CONTROLS}]*$"
_IN_EMAIL = rf'[^{_CONTROLS}{_BLANKS}@<>"]+'
EMAIL = rf"^[{_BLANKS}]*({_IN_EMAIL}@{_IN_EMAIL})?[{_BLANKS}]*$"
_YEARS = r"^(19[7-9][0-9]|[2-8][0-9]{3}|9000)-"


class Published:
    """What the published document says of a type, beside what pydantic finds out by itself."""

    def __init__(self, **keywords: Any) -> None:
        self._keywords = keywords

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Pydantic asks for it."""
        return {**handler(core), **self._keywords}


Direction = Literal["inbound", "outbound"]


def storable(text: str) -> str:
    """Refuse what a database cannot store."""
    if _UNSTORABLE.search(text):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return text


def one_line(text: str) -> str:
    """Refuse control characters; blanks around are nothing."""
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text.strip()


def visible(text: str) -> str:
    """Refuse a blank text."""
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def with_a_word(text: str) -> str:
    """Refuse a text in which nothing can be searched for."""
    if not re.search(_LETTER, text):
        raise ValueError("must hold a word")
    return text


def number(value: object) -> object:
    """Refuse what is no number in JSON, though it could be read as one."""
    if isinstance(value, str | bool):
        raise ValueError("must be a number")
    return value


def _written_out(value: object) -> object:
    if isinstance(value, datetime):
        return value  # of a caller in Python, such as the client
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("must be an RFC 3339 date and time")
    return value


def _in_range(value: datetime) -> datetime:
    """Bring an instant to UTC; what a database or a subtraction could not bear is refused here."""
    if not 1970 <= value.year <= 9000:
        raise ValueError("must lie between the years 1970 and 9000")
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_range), Published(pattern=_YEARS)]

MessageText = Annotated[
    str, AfterValidator(storable), AfterValidator(visible), Field(min_length=1), Published(pattern=VISIBLE)
]

Name = Annotated[str, StringConstraints(max_length=200), AfterValidator(one_line), Published(pattern=ONE_LINE)]

ExternalId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    AfterValidator(one_line),
    Field(min_length=1),
    Published(pattern=ONE_LINE_WITH_SOMETHING),
]

# The domain decides what an identity is, with an error of its own; blanks around it do not count.
IdentityText = Annotated[
    str,
    StringConstraints(max_length=200),
    AfterValidator(one_line),
    Field(min_length=1),
    Published(maxLength=128, pattern=ONE_LINE_WITH_SOMETHING, format="identity"),
]

TopicName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


AnyId = Annotated[str, StringConstraints(max_length=128), AfterValidator(storable), Published(pattern=STORABLE)]

SearchText = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(storable), Published(pattern=STORABLE)
]

# Something that a word can be made of: neither a blank, nor a control, nor punctuation.
_LETTER = r"[^\x00-/:-@\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7\u2000-\u206f\u3000-\u303f]"
WITH_A_WORD = rf"^[^\x00]*{_LETTER}[^\x00]*$"
SearchWords = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(storable),
    AfterValidator(with_a_word),
    Published(pattern=WITH_A_WORD),
]

# A note stands in the seed under its own id, and is changed as a note.
EntryId = Annotated[AnyId, Published(pattern=r"^(?!note_)[^\x00]*$")]

Flag = StrictBool  # 0 and "no" are no JSON for false


Item = TypeVar("Item")


class Request(BaseModel):
    """What a caller sends; an unknown field is an error, because it is always a misunderstanding."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Response(BaseModel):
    """What a caller gets."""

    model_config = ConfigDict(from_attributes=True)


class ListOf(Response, Generic[Item]):
    """One page of a list."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool


class PageQuery(Request):
    """Where a page of a list begins."""

    limit: int = Field(20, ge=1, le=100)
    after: AnyId | None = None
    before: AnyId | None = None
    order: Literal["asc", "desc"] = "desc"


class ThreadQuery(PageQuery):
    """A thread or a chain is read from its beginning."""

    order: Literal["asc", "desc"] = "asc"


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
    turn_id: str | None = Field(None, description="The turn that failed with it")
