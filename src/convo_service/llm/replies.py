"""Responses of a model: how they are asked for, whole or as a stream, and what is made of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convo_service.domain.usage import Usage
from convo_service.llm import faults

if TYPE_CHECKING:
    import openai
    from openai.types.responses import Response

MAX_COUNT = 2**31 - 1
MAX_ID = 128  # characters
RECENT_ITEMS = 50  # of which an answer that nobody heard is one
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_GIVEN = ("completed", "incomplete", "refused")
_DELTAS = ("response.output_text.delta", "response.refusal.delta")

OnDelta = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A message that a model is to answer in its conversation."""

    model: str
    conversation_id: str
    text: str
    instructions: str | None
    turn_id: str
    user_hash: str
    start: Sequence[dict[str, Any]] = ()  # items that the conversation is to hold before the message
    missed: Sequence[dict[str, Any]] = ()  # and those that follow from what it holds already

    @property
    def arguments(self) -> dict[str, Any]:
        """What the request says. Truncation would take the oldest items first, and that is the seed.

        A message alone goes as a string, which means the same: the SDK walks through lists for a millisecond.
        """
        before, message = [*self.start, *self.missed], {"role": "user", "content": self.text}
        return {
            "model": self.model,
            "conversation": self.conversation_id,
            "input": [*before, message] if before else self.text,
            "truncation": "disabled",
            "metadata": {"service": "convo_service", "turn": self.turn_id},
            "safety_identifier": self.user_hash,
            **({"instructions": self.instructions} if self.instructions else {}),
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said, and what that used; `usage` is None when nobody told."""

    said: str  # a refusal and a text that was cut off, too
    status: str  # completed | refused | incomplete | failed | ...
    usage: Usage | None = None
    item_id: str | None = None  # the last message that it left in its conversation
    first_token_seconds: float | None = None  # of a stream
    response_id: str | None = None  # under which OpenAI stores it; None: it was found among the items
    start_refused: bool = False  # OpenAI took the message, and not what was to stand before it

    @property
    def is_given(self) -> bool:
        """Whether there is something to say to the user."""
        return self.status in _GIVEN and bool(self.said.strip())

    @property
    def text(self) -> str:
        """A whole answer; empty when it refused, failed, or was cut off."""
        return self.said if self.status == "completed" else ""


@dataclass(frozen=True, slots=True)
class Said:
    """A message among the items of a conversation."""

    role: str
    text: str
    item_id: str | None


@dataclass(frozen=True, slots=True)
class Heard:
    """Replies that are known: by the items that they are at OpenAI, else by what they say."""

    item_ids: frozenset[str]
    texts: frozenset[str]

    def has(self, answer: Sequence[Said]) -> bool:
        """Whether these messages are one of them."""
        known = any(one.item_id in self.item_ids for one in answer)
        return known or storable("".join(one.text for one in answer)) in self.texts


async def whole(sdk: "openai.AsyncOpenAI", prompt: Prompt) -> Reply:
    """Ask, and wait for all of it."""
    return read(await sdk.responses.create(**prompt.arguments))


async def streamed(sdk: "openai.AsyncOpenAI", prompt: Prompt, on_delta: OnDelta) -> Reply:
    """Ask, and pass on each piece as it comes; a stream that ends without its last event is no answer."""
    started, first = time.monotonic(), None
    async with await sdk.responses.create(**prompt.arguments, stream=True) as events:
        async for event in events:
            kind = getattr(event, "type", None)  # the SDK validates nothing: an event may be a number
            if kind in _DELTAS:
                first = first or time.monotonic() - started
                on_delta(_piece(event))
            elif kind in _ENDS:
                return read(getattr(event, "response", None), first_token_seconds=first)
    raise faults.NoAnswer


def _piece(event: Any) -> str:
    piece = getattr(event, "delta", None)
    if not isinstance(piece, str):
        raise faults.NoAnswer
    return storable(piece)


def read(made: "Response | None", *, first_token_seconds: float | None = None) -> Reply:
    """What a response says; the SDK validates nothing, so anything may be missing or of another type."""
    if made is None or not isinstance(getattr(made, "id", None), str):
        raise faults.NoAnswer
    try:
        messages = [item for item in made.output if item.type == "message"]
        refusals = [part.refusal for item in messages for part in item.content if part.type == "refusal"]
        said = "\n".join(refusals) if refusals else made.output_text
        item_id = known_id(messages[-1]) if messages else None
    except (TypeError, AttributeError):
        raise faults.NoAnswer from None
    status = "refused" if refusals else str(made.status or "unknown")
    return Reply(storable(said), status, _usage(made), item_id, first_token_seconds, known_id(made))


def known_id(item: Any) -> str | None:
    """The id of an item or a response as a database can hold it; None when it has no such id."""
    found = getattr(item, "id", None)
    return found if isinstance(found, str) and len(found) <= MAX_ID and storable(found) == found else None


async def find(sdk: "openai.AsyncOpenAI", prompt: Prompt, heard: Heard) -> Reply | None:
    """The newest answer to the prompt's text among a conversation's last items that no other message has had."""
    return _answer(prompt.text, await _recent(sdk, prompt.conversation_id), heard)


async def holds(sdk: "openai.AsyncOpenAI", conversation_id: str, items: Sequence[dict[str, Any]]) -> bool:
    """Whether these items stand one after the other among a conversation's last."""
    said = [(one.role, one.text) for one in reversed(await _recent(sdk, conversation_id))]
    wanted = [(one["role"], one["content"]) for one in items]
    return any(said[place : place + len(wanted)] == wanted for place in range(len(said) - len(wanted) + 1))


async def _recent(sdk: "openai.AsyncOpenAI", conversation_id: str) -> list[Said]:
    """The messages among a conversation's last items, newest first."""
    try:  # the SDK itself stumbles over what is no list
        page = await sdk.conversations.items.list(conversation_id, limit=RECENT_ITEMS, order="desc")
        return [Said(item.role, _text_of(item), known_id(item)) for item in page.data or [] if item.type == "message"]
    except (TypeError, AttributeError):
        raise faults.NoAnswer from None


def _answer(text: str, newest_first: Sequence[Said], heard: Heard) -> Reply | None:
    answer: list[Said] = []
    for one in newest_first:
        if one.role == "assistant":
            answer.insert(0, one)
            continue
        if answer and one.text == text and not heard.has(answer):
            return Reply(storable("".join(each.text for each in answer)), "completed", item_id=answer[-1].item_id)
        answer = []
    return None


def _text_of(item: Any) -> str:
    return "".join(getattr(part, "text", None) or getattr(part, "refusal", None) or "" for part in item.content)


def storable(text: str) -> str:
    """Without what a database cannot store: NUL, and halves of surrogate pairs."""
    return "".join(one for one in text if one != "\0" and not "\ud800" <= one <= "\udfff")


def _usage(made: "Response") -> Usage | None:
    used = made.usage
    if not isinstance(getattr(used, "input_tokens", None), int):
        return None
    details = getattr(used, "input_tokens_details", None)
    return Usage(
        input_tokens=_count(used, "input_tokens"),
        cached_input_tokens=_count(details, "cached_tokens"),
        cache_write_tokens=_count(details, "cache_write_tokens"),
        output_tokens=_count(used, "output_tokens"),
        reasoning_tokens=_count(getattr(used, "output_tokens_details", None), "reasoning_tokens"),
    )


def _count(usage: object, name: str) -> int:
    """A count of tokens as a database can hold it; what is missing or no count is zero."""
    found = getattr(usage, name, None)
    return min(max(found, 0), MAX_COUNT) if isinstance(found, int) else 0
