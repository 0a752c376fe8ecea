"""The only module that talks to OpenAI; each failure comes out as UpstreamUnavailable."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from convo_service import crashing
from convo_service.crashing import crash_point
from convo_service.errors import UpstreamLocked, UpstreamLost, UpstreamRefused, UpstreamUnavailable
from convo_service.llm import faults, replies, sight
from convo_service.llm.breaker import Breaker, CircuitOpen
from convo_service.llm.measuring import counted, measured
from convo_service.llm.replies import Heard, OnDelta, Prompt, Reply
from convo_service.llm.sight import Sight
from convo_service.telemetry import failure, get_logger, metrics

if TYPE_CHECKING:
    import httpx2
    import openai
    from starlette.types import ASGIApp

CONNECT_SECONDS = 2.0
IN_PARALLEL = 20  # calls of one process, beside
REPLIES_IN_PARALLEL = 100  # which take seconds, and would leave no place for those who open a conversation
MOST_ATTEMPTS = 3  # of a call that is surely not carried out
PAGE = 100  # items
MAX_OUTPUT_TOKENS = 8000  # a summary has about a thousand; the rest is for models that think before
_CONVERSATION_ID = re.compile(r"conv_[A-Za-z0-9_-]{8,120}")

Result = TypeVar("Result")

log = get_logger()


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked: our instructions, and what people wrote as one user item."""

    model: str
    instructions: str
    content: str
    schema: dict[str, Any]
    user_hash: str


class LLMClient:
    """OpenAI's Conversations, behind a circuit breaker, so many calls at once.

    The SDK sends no idempotency key, so that a blind repeat makes orphans: a call is made again only when it was surely
    not carried out. Every call takes a `deadline` in seconds of `time.monotonic()`; nothing waits beyond it.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None = None,
        http_client: "httpx2.AsyncClient | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._http_client = http_client
        self._sdk: openai.AsyncOpenAI | None = None
        # A model that fails, or is slow, has to keep nobody from opening conversations, and the other way round.
        self._breakers = (Breaker(clock), Breaker(clock))
        self._places = (asyncio.Semaphore(IN_PARALLEL), asyncio.Semaphore(REPLIES_IN_PARALLEL))

    @classmethod
    def against(cls, app: "ASGIApp", *, clock: Callable[[], float] = time.monotonic) -> "LLMClient":
        """A client with an ASGI app at the other end of the wire, in this process: the emulator."""
        import httpx2

        transport = httpx2.ASGITransport(app=app)
        return cls(
            api_key="emulator",
            base_url="http://emulator/v1",
            http_client=httpx2.AsyncClient(transport=transport),
            clock=clock,
        )

    @property
    def has_key(self) -> bool:
        """Whether anybody can be asked at all."""
        return bool(self._api_key)

    async def create_conversation(self, attempt_id: str, *, deadline: float) -> str:
        """Create an empty conversation and return its id; nothing personal is in what could become an orphan."""

        async def create(sdk: "openai.AsyncOpenAI") -> str:
            made = await sdk.conversations.create(metadata={"service": "convo_service", "attempt": attempt_id})
            # The SDK validates nothing: a proxy's HTML comes as a str, an empty object as an id of None.
            remote_id = getattr(made, "id", None)
            if not isinstance(remote_id, str) or not _CONVERSATION_ID.fullmatch(remote_id):
                raise faults.NoAnswer
            return remote_id

        return await self._call("conversations.create", deadline, create)

    async def add_items(self, conversation_id: str, items: Sequence[dict[str, Any]], *, deadline: float) -> None:
        """Put items into a conversation, at most 20; the outcome of a failed call is unknown.

        Raises UpstreamLost when it is not there any more.
        """

        async def add(sdk: "openai.AsyncOpenAI") -> None:
            made = await sdk.conversations.items.create(conversation_id, items=list(items))  # type: ignore[arg-type]
            if not getattr(made, "data", None):
                raise faults.NoAnswer

        try:
            await self._call("items.create", deadline, add)
        except UpstreamRefused as error:
            if faults.is_lost(error.__cause__):
                raise UpstreamLost from error
            raise

    async def holds_anything(self, conversation_id: str, *, deadline: float) -> bool:
        """Whether there is an item in a conversation; one that is not there any more holds nothing."""

        async def look(sdk: "openai.AsyncOpenAI") -> bool:
            page = await sdk.conversations.items.list(conversation_id, limit=1)
            if not isinstance(getattr(page, "data", None), list):
                raise faults.NoAnswer
            return bool(page.data)

        try:
            return await self._call("items.list", deadline, look)
        except UpstreamRefused as error:
            if faults.is_lost(error.__cause__):
                return False
            raise

    async def holds(self, conversation_id: str, items: Sequence[dict[str, Any]], *, deadline: float) -> bool:
        """Whether these items stand one after the other among a conversation's last."""
        try:
            return await self._call("items.list", deadline, lambda sdk: replies.holds(sdk, conversation_id, items))
        except UpstreamRefused as error:
            if faults.is_lost(error.__cause__):
                return False
            raise

    async def delete_conversation(
        self, conversation_id: str, *, deadline: float, on_item: Callable[[], None] | None = None
    ) -> None:
        """Delete every item of a conversation, then itself; what is gone already is as good as deleted.

        `on_item` is told of each item that goes, so that a call that fails in the middle has said what it did.
        """

        async def delete(sdk: "openai.AsyncOpenAI") -> None:
            with _suppress_not_found():
                # Deleting a conversation leaves its items, and a page of them is what is left after the last.
                while items := (await sdk.conversations.items.list(conversation_id, limit=PAGE)).data:
                    for one in items:
                        with _suppress_not_found():
                            await sdk.conversations.items.delete(str(one.id), conversation_id=conversation_id)
                            if on_item is not None:
                                on_item()
            crash_point(crashing.GARBAGE_EMPTIED)
            with _suppress_not_found():
                await sdk.conversations.delete(conversation_id)

        await self._call("conversations.delete", deadline, delete)

    async def delete_response(self, response_id: str, *, deadline: float) -> None:
        """Delete a stored response; what is gone already is as good as deleted."""

        async def delete(sdk: "openai.AsyncOpenAI") -> None:
            with _suppress_not_found():
                await sdk.responses.delete(response_id)

        await self._call("responses.delete", deadline, delete)

    async def ask_for_json(self, question: Question, *, deadline: float) -> Reply:
        """Ask a model for one JSON document; nothing is kept at OpenAI. A refusal or a failed run is a reply too."""

        async def ask(sdk: "openai.AsyncOpenAI") -> Reply:
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
            return replies.read(made)

        return counted(await self._call("responses.create", deadline, ask, question.model), question.model)

    async def reply(self, prompt: Prompt, *, deadline: float, on_delta: OnDelta | None = None) -> Reply:
        """Have a message answered in its conversation; `on_delta` is told each piece as it comes.

        Raises UpstreamLocked while another answer is made there, and UpstreamLost when it is not there any more.
        """
        try:
            reply = await self._call(
                "responses.create",
                deadline,
                lambda sdk: replies.streamed(sdk, prompt, on_delta) if on_delta else replies.whole(sdk, prompt),
                prompt.model,
            )
            return counted(reply, prompt.model)
        except UpstreamRefused as error:
            if faults.is_lost(error.__cause__) and not await self._is_there(prompt.conversation_id, deadline):
                raise UpstreamLost from error
            raise

    async def find_reply(self, prompt: Prompt, heard: Heard, *, deadline: float) -> Reply | None:
        """The answer to a prompt that was given without our hearing of it, if there is one."""
        try:
            return await self._call("items.list", deadline, lambda sdk: replies.find(sdk, prompt, heard))
        except UpstreamRefused as error:
            if faults.is_lost(error.__cause__):
                return None  # a conversation that is not there has no answer either
            raise

    async def _is_there(self, conversation_id: str, deadline: float) -> bool:
        """Whether a conversation exists: a 404 may also speak of the model."""
        try:
            await self._call(
                "conversations.retrieve", deadline, lambda sdk: sdk.conversations.retrieve(conversation_id)
            )
        except UpstreamRefused as error:
            return not faults.is_lost(error.__cause__)
        return True

    async def look(self, model: str, *, deadline: float) -> Sight:
        """See who is there, whether the key is taken and the model known; costs nothing."""
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await sight.look(self._client(), model)
        except TimeoutError:
            return Sight(None)

    @staticmethod
    def warm() -> None:
        """Load the SDK ahead of the first call; to be run in a thread, because it takes half a second."""
        import openai  # noqa: F401

    def breakers(self) -> dict[str, int]:
        """Whether calls are let through, by what they are about: 0 all, 1 one to see how it is, 2 none."""
        return {kind: breaker.state for kind, breaker in zip(("conversations", "models"), self._breakers, strict=True)}

    async def close(self) -> None:
        """Close the connections."""
        if self._sdk is not None:
            await self._sdk.close()

    async def _call(
        self,
        operation: str,
        deadline: float,
        work: "Callable[[openai.AsyncOpenAI], Awaitable[Result]]",
        model: str | None = None,
    ) -> Result:
        """Make a call, and make it again only when it was surely not carried out."""
        import stamina

        stamina.instrumentation.set_on_retry_hooks(())  # they log the error's text; `openai_failed` has said it
        left = max(deadline - time.monotonic(), 0.001)
        waits = {"wait_initial": 0.1, "wait_max": 1.0, "wait_jitter": 0.1}
        async for attempt in stamina.retry_context(
            on=faults.wait_before_repeat, attempts=MOST_ATTEMPTS, timeout=left, **waits
        ):
            with attempt:
                return await self._once(operation, deadline, work, model)
        raise AssertionError  # the last attempt raises

    async def _once(
        self,
        operation: str,
        deadline: float,
        work: "Callable[[openai.AsyncOpenAI], Awaitable[Result]]",
        model: str | None,
    ) -> Result:
        """One deadline for the whole call (a drip of single bytes defeats read timeouts), one kind of error."""
        started = time.monotonic()
        try:
            is_reply = operation == "responses.create"
            with self._breakers[is_reply].guard(faults.weight), measured(operation, model):
                async with asyncio.timeout(max(0.0, deadline - started)), self._places[is_reply]:
                    return await work(self._client())
        except CircuitOpen as error:
            metrics.openai_errors.add(1, {"operation": operation, "error.type": "circuit_open"})
            raise UpstreamUnavailable(retry_after=error.seconds) from error
        except Exception as error:
            if not faults.is_upstream(error):
                raise
            log.warning(
                "openai_failed",
                operation=operation,
                status=getattr(error, "status_code", None),
                code=getattr(error, "code", None),
                seconds=round(time.monotonic() - started, 3),
                **failure(error),
            )
            raise _as_ours(error) from error

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


def _as_ours(error: Exception) -> UpstreamUnavailable:
    if faults.is_locked(error):
        return UpstreamLocked(retry_after=1)
    kind = UpstreamRefused if faults.is_final(error) else UpstreamUnavailable
    return kind(retry_after=faults.retry_after(error), uncertain=faults.may_have_happened(error))


def _suppress_not_found() -> "AbstractContextManager[None]":
    import openai

    return suppress(openai.NotFoundError)
