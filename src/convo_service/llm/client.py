"""The only module that talks to OpenAI; each failure comes out as UpstreamUnavailable."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convo_service.errors import UpstreamRefused, UpstreamUnavailable
from convo_service.telemetry import failure, get_logger

if TYPE_CHECKING:
    import httpx2
    import openai
    from openai.types.responses import Response
    from starlette.types import ASGIApp

CONNECT_SECONDS = 2.0
MAX_RETRY_AFTER_SECONDS = 60
MAX_COUNT = 2**31 - 1
MAX_OUTPUT_TOKENS = 8000  # a summary has about a thousand; the rest is for models that think before
_SECONDS = re.compile(r"[0-9]{1,9}")
_CONVERSATION_ID = re.compile(r"conv_[A-Za-z0-9_-]{8,120}")

log = get_logger()


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked: our instructions, and what people wrote as one user item."""

    model: str
    instructions: str
    content: str
    schema: dict[str, Any]
    user_hash: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, and what that used; `text` is empty when it refused, failed, or was cut off."""

    text: str
    status: str
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0


class LLMClient:
    """OpenAI's Conversations, without retries: the SDK sends no idempotency key, so a blind repeat makes orphans.

    Every call takes a `deadline` in seconds of `time.monotonic()`; nothing waits beyond it.
    """

    def __init__(
        self, *, api_key: str, base_url: str | None = None, http_client: "httpx2.AsyncClient | None" = None
    ) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._http_client = http_client
        self._sdk: openai.AsyncOpenAI | None = None

    @classmethod
    def against(cls, app: "ASGIApp") -> "LLMClient":
        """A client with an ASGI app at the other end of the wire, in this process: the emulator."""
        import httpx2

        transport = httpx2.ASGITransport(app=app)
        return cls(
            api_key="emulator",
            base_url="http://emulator/v1",
            http_client=httpx2.AsyncClient(transport=transport),
        )

    async def create_conversation(self, attempt_id: str, *, deadline: float) -> str:
        """Create an empty conversation and return its id; nothing personal is in what could become an orphan."""
        async with self._call("conversations.create", deadline) as sdk:
            made = await sdk.conversations.create(metadata={"service": "convo_service", "attempt": attempt_id})
            # The SDK validates nothing: a proxy's HTML comes as a str, an empty object as an id of None.
            remote_id = getattr(made, "id", None)
            if not isinstance(remote_id, str) or not _CONVERSATION_ID.fullmatch(remote_id):
                raise _NoAnswer
            return remote_id

    async def add_items(self, conversation_id: str, items: Sequence[dict[str, Any]], *, deadline: float) -> None:
        """Put items into a conversation, at most 20; the outcome of a failed call is unknown."""
        async with self._call("items.create", deadline) as sdk:
            made = await sdk.conversations.items.create(conversation_id, items=list(items))  # type: ignore[arg-type]
            if not getattr(made, "data", None):
                raise _NoAnswer

    async def ask_for_json(self, question: Question, *, deadline: float) -> Reply:
        """Ask a model for one JSON document; nothing is kept at OpenAI. A refusal or a failed run is a reply too."""
        async with self._call("responses.create", deadline) as sdk:
            made = await sdk.responses.create(
                model=question.model,
                instructions=question.instructions,
                input=[{"role": "user", "content": question.content}],
                text={"format": {"type": "json_schema", "name": "summary", "schema": question.schema, "strict": True}},
                store=False,
                truncation="disabled",
                max_output_tokens=MAX_OUTPUT_TOKENS,
                safety_identifier=question.user_hash,
            )
            return _reply(made)

    async def look_up(self, model: str, *, deadline: float) -> None:
        """See whether the key is taken and the model is there; costs nothing."""
        async with self._call("models.retrieve", deadline) as sdk:
            await sdk.models.retrieve(model)

    @staticmethod
    def warm() -> None:
        """Load the SDK ahead of the first call; to be run in a thread, because it takes half a second."""
        import openai  # noqa: F401

    async def close(self) -> None:
        """Close the connections."""
        if self._sdk is not None:
            await self._sdk.close()

    @asynccontextmanager
    async def _call(self, operation: str, deadline: float) -> AsyncIterator["openai.AsyncOpenAI"]:
        """One deadline for the whole call (a drip of single bytes defeats read timeouts), one kind of error."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, deadline - started)):
                yield self._client()
        except Exception as error:
            if not _is_upstream(error):
                raise
            status = getattr(error, "status_code", None)
            log.warning(
                "openai_failed",
                operation=operation,
                status=status,
                code=getattr(error, "code", None),
                seconds=round(time.monotonic() - started, 3),
                **failure(error),
            )
            refused = UpstreamRefused if _is_final(error) else UpstreamUnavailable
            raise refused(retry_after=_retry_after(error)) from error

    def _client(self) -> "openai.AsyncOpenAI":
        """Build the SDK when it is first needed: it costs half a second to import, and wants a key at once."""
        if self._sdk is None:
            import httpx2
            import openai

            self._sdk = openai.AsyncOpenAI(
                api_key=self._api_key,
                base_url=self._base_url,
                max_retries=0,
                timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),  # each call has a deadline of its own
                http_client=self._http_client,
            )
        return self._sdk


def _reply(made: "Response") -> Reply:
    """The text of a completed run; the SDK validates nothing, so anything may be missing or of another type."""
    if not isinstance(getattr(made, "id", None), str):
        raise _NoAnswer
    usage = made.usage
    try:
        refused = any(part.type == "refusal" for item in made.output if item.type == "message" for part in item.content)
        text = made.output_text
    except (TypeError, AttributeError):
        raise _NoAnswer from None
    status = "refused" if refused else made.status or "unknown"
    return Reply(
        text=text if status == "completed" else "",
        status=status,
        input_tokens=_count(usage, "input_tokens"),
        cached_input_tokens=_count(getattr(usage, "input_tokens_details", None), "cached_tokens"),
        output_tokens=_count(usage, "output_tokens"),
    )


def _count(usage: object, name: str) -> int:
    """A count of tokens as a database can hold it; what is missing or no count is zero."""
    found = getattr(usage, name, None)
    return min(max(found, 0), MAX_COUNT) if isinstance(found, int) else 0


class _NoAnswer(Exception):
    """OpenAI answered with success and with nothing that can be used."""


def _is_upstream(error: Exception) -> bool:
    import openai

    return isinstance(error, _NoAnswer | TimeoutError | openai.OpenAIError | ValueError)


def _is_final(error: Exception) -> bool:
    """Whether a repeat is pointless: a 4xx that is not about the key, the rate, or another request's lock."""
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or not 400 <= status < 500:
        return False
    return status not in (401, 403, 408, 409, 429) and getattr(error, "code", None) != "conversation_locked"


def _retry_after(error: Exception) -> int:
    """Seconds that OpenAI asked for, within reason; else five."""
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after", "") if response is not None else ""
    return min(int(asked), MAX_RETRY_AFTER_SECONDS) if _SECONDS.fullmatch(asked) else 5
