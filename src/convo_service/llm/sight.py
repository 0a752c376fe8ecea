"""A look at whoever is at OPENAI_BASE_URL: whether it speaks as OpenAI does, takes the key, and what its clock says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openai

NO_CONVERSATION = "conv_" + "0" * 48
MODEL_NOT_FOUND = "model_not_found"


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen: the status of asking for a model (None: nobody answered), and OpenAI's code for a refusal.

    `speaks`: the answer has OpenAI's form. `keeps_conversations`: it has conversations, too, and not models alone.
    """

    status: int | None
    code: str | None = None
    speaks: bool = False
    keeps_conversations: bool = False
    clock: datetime | None = None


async def look(sdk: "openai.AsyncOpenAI", model: str) -> Sight:
    """Ask for a model and for a conversation that nobody has; costs nothing. Raises TimeoutError by its caller only."""
    import openai

    try:
        raw = await sdk.models.with_raw_response.retrieve(model)
    except openai.APIStatusError as error:
        body = error.body
        speaks = isinstance(body, Mapping) and isinstance(body.get("message"), str)
        conversations = error.status_code == 404 and speaks and await _keeps_conversations(sdk)
        return Sight(error.status_code, error.code, speaks, conversations, _clock(error.response.headers))
    except (openai.OpenAIError, ValueError):
        return Sight(None)
    clock = _clock(raw.headers)
    if not _is_model(raw):
        return Sight(raw.status_code, clock=clock)
    return Sight(raw.status_code, None, speaks=True, keeps_conversations=await _keeps_conversations(sdk), clock=clock)


def _is_model(raw: Any) -> bool:
    """The SDK validates nothing: a proxy's page comes as a str, anything in JSON as a model without an id."""
    try:
        return isinstance(getattr(raw.parse(), "id", None), str)
    except ValueError:
        return False


async def _keeps_conversations(sdk: "openai.AsyncOpenAI") -> bool:
    """OpenAI names the conversation that it does not have; who knows no conversations names the address, or nothing."""
    import openai

    try:
        await sdk.conversations.retrieve(NO_CONVERSATION)
    except openai.NotFoundError as error:
        return NO_CONVERSATION in error.message and "URL" not in error.message
    except (openai.OpenAIError, ValueError):
        return False
    return False


def _clock(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
