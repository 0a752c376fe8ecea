"""The calls: a method for each route that a gateway or a dashboard needs."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from convo_service import schemas
from convo_service.client import events
from convo_service.client.problems import refusal
from convo_service.client.repeating import Patience

Out = TypeVar("Out", bound=BaseModel)
Item = TypeVar("Item")
TIMEOUT = 12.0  # conversations are answered within ten seconds
TURN_TIMEOUT = 100.0  # a place in the row of a user for a minute, and half a minute for the reply
PATIENCE = Patience(30)
PAGE = 100


class ConvoClient:
    """The service, as its callers see it.

    A request that has one effect however often it arrives is repeated for `patience.seconds`: messages with an id,
    readings, updates. One without an id is repeated only where it surely had none. What is left comes out as
    ProblemError, or as httpx raises it.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        timeout: float = TIMEOUT,
        turn_timeout: float = TURN_TIMEOUT,
        patience: Patience = PATIENCE,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=timeout, transport=transport)
        self._turn_timeout = httpx.Timeout(turn_timeout, connect=timeout)
        self._patience = patience

    async def __aenter__(self) -> Self:
        """Use it as a context, so that the connections are closed."""
        return self

    async def __aexit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close the connections."""
        await self._http.aclose()

    # What a gateway does.

    async def get_or_create(self, request: schemas.GetOrCreate) -> schemas.GotOrCreated:
        """The conversation to use at OpenAI for this message."""
        return await self._send("POST", "/conversations", schemas.GotOrCreated, request)

    async def append(
        self, conversation_id: str, messages: Sequence[schemas.AppendedMessage]
    ) -> schemas.ListOf[schemas.Message]:
        """Store what was said elsewhere, such as the bot's reply; give each an id, so that it may be repeated."""
        body = schemas.AppendMessages(messages=list(messages))
        path, named = _at("/conversations/{}/messages", conversation_id), all(one.id for one in messages)
        return await self._send("POST", path, schemas.ListOf[schemas.Message], body, repeatable=named)

    async def turn(self, request: schemas.NewTurn) -> schemas.Turn:
        """Have a message answered."""
        return await self._send("POST", "/turns", schemas.Turn, request, timeout=self._turn_timeout)

    async def stream_turn(self, request: schemas.NewTurn) -> AsyncGenerator[events.TurnEvent, None]:
        """Have a message answered, piece by piece. A stream that has begun is not begun again by itself."""
        asked = self._http.build_request("POST", "/turns/stream", json=_json(request), timeout=self._turn_timeout)

        async def begin() -> httpx.Response:
            return await _good(await self._http.send(asked, stream=True))

        answer = await self._patience.keep_trying(begin, repeatable=True)
        try:
            async for event in events.read(answer.aiter_bytes()):
                yield event
        finally:
            await answer.aclose()

    async def get_turn(self, turn_id: str) -> schemas.Turn:
        """How a turn stands."""
        return await self._get(_at("/turns/{}", turn_id), schemas.Turn)

    async def close(self, conversation_id: str) -> schemas.Conversation:
        """Close a conversation by hand."""
        return await self._send("POST", _at("/conversations/{}/close", conversation_id), schemas.Conversation)

    async def look_up(self, identity: str) -> schemas.User:
        """Find a user by phone number, BSUID or another identity."""
        return await self._send("POST", "/users/lookup", schemas.User, schemas.Lookup(identity=identity))

    async def reset(self, user_id: str, *, topic: str = "general", forget: bool = False) -> schemas.Conversation:
        """Open a new conversation by hand; each call opens one."""
        body = schemas.Reset(topic=topic, forget=forget)
        return await self._send("POST", _at("/users/{}/reset", user_id), schemas.Conversation, body, repeatable=False)

    async def pause(self, user_id: str, *, minutes: float | None = None) -> schemas.User:
        """Let a person answer in the bot's place for a while."""
        return await self._send("PUT", _at("/users/{}/pause", user_id), schemas.User, schemas.Pause(minutes=minutes))

    async def resume(self, user_id: str) -> schemas.User:
        """Let the bot answer again."""
        return await self._send("DELETE", _at("/users/{}/pause", user_id), schemas.User)

    async def edit(self, request: schemas.NamedMessageEdit) -> schemas.Message:
        """A user has edited a message."""
        return await self._send("POST", "/messages/edits", schemas.Message, request)

    async def revoke(self, request: schemas.NamedRevocation) -> schemas.Revocation:
        """A user has taken a message back; it need not have come yet."""
        return await self._send("POST", "/messages/revocations", schemas.Revocation, request)

    async def profile(self, user_id: str) -> schemas.Profile:
        """What is known of a user."""
        return await self._get(_at("/users/{}/profile", user_id), schemas.Profile)

    async def put_profile(self, user_id: str, profile: schemas.ProfileUpdate) -> schemas.Profile:
        """Fill or correct what is known of a user."""
        return await self._send("PUT", _at("/users/{}/profile", user_id), schemas.Profile, profile)

    def notes(self, user_id: str, query: schemas.NoteQuery | None = None) -> AsyncIterator[schemas.Note]:
        """The notes about a user."""
        return self._every(_at("/users/{}/notes", user_id), schemas.ListOf[schemas.Note], query)

    async def add_note(self, user_id: str, note: schemas.NewNote) -> schemas.Note:
        """Write a note; each call writes one."""
        return await self._send("POST", _at("/users/{}/notes", user_id), schemas.Note, note, repeatable=False)

    async def change_note(self, note_id: str, change: schemas.NoteUpdate) -> schemas.Note:
        """Change or resolve a note."""
        return await self._send("PATCH", _at("/notes/{}", note_id), schemas.Note, change)

    # What a dashboard reads. A list is read page by page, as far as the caller goes on.

    def conversations(self, query: schemas.ConversationQuery | None = None) -> AsyncIterator[schemas.Conversation]:
        """The history, newest first."""
        return self._every("/conversations", schemas.ListOf[schemas.Conversation], query)

    async def conversation(self, conversation_id: str) -> schemas.Conversation:
        """One conversation."""
        return await self._get(_at("/conversations/{}", conversation_id), schemas.Conversation)

    def thread(self, conversation_id: str, query: schemas.ThreadQuery | None = None) -> AsyncIterator[schemas.Message]:
        """What was said in a conversation, oldest first."""
        return self._every(_at("/conversations/{}/messages", conversation_id), schemas.ListOf[schemas.Message], query)

    def chain(
        self, conversation_id: str, query: schemas.ThreadQuery | None = None
    ) -> AsyncIterator[schemas.Conversation]:
        """Ancestors and descendants of a conversation, oldest first."""
        return self._every(_at("/conversations/{}/chain", conversation_id), schemas.ListOf[schemas.Conversation], query)

    def search(self, query: schemas.SearchQuery) -> AsyncIterator[schemas.Message]:
        """Messages that hold every word."""
        return self._every("/messages", schemas.ListOf[schemas.Message], query)

    def users(self, query: schemas.UserQuery | None = None) -> AsyncIterator[schemas.User]:
        """People, by name or company."""
        return self._every("/users", schemas.ListOf[schemas.User], query)

    async def user(self, user_id: str) -> schemas.User:
        """One person."""
        return await self._get(_at("/users/{}", user_id), schemas.User)

    def whole_thread(self, user_id: str, query: schemas.ThreadQuery | None = None) -> AsyncIterator[schemas.Message]:
        """What was said with a user, across conversations, oldest first."""
        return self._every(_at("/users/{}/messages", user_id), schemas.ListOf[schemas.Message], query)

    async def seed(self, user_id: str, *, topic: str = "general") -> schemas.SeedPreview:
        """What the next conversation would start with, and why."""
        return await self._get(_at("/users/{}/seed", user_id), schemas.SeedPreview, {"topic": topic})

    async def change_seed_entry(
        self, user_id: str, entry_id: str, change: schemas.SeedEntryUpdate, *, topic: str = "general"
    ) -> schemas.SeedPreview:
        """Edit, pin or remove an entry, for every seed to come."""
        path = _at("/users/{}/seed/entries/{}", user_id, entry_id)
        return await self._send("PATCH", path, schemas.SeedPreview, change, params={"topic": topic})

    async def remove_seed_entry(self, user_id: str, entry_id: str, *, topic: str = "general") -> schemas.SeedPreview:
        """Take an entry out of every seed to come."""
        path = _at("/users/{}/seed/entries/{}", user_id, entry_id)
        return await self._send("DELETE", path, schemas.SeedPreview, params={"topic": topic})

    async def regenerate_seed(self, user_id: str, *, topic: str = "general") -> schemas.SeedPreview:
        """Have the model read the last conversation now; each call asks it, so that it has the time of a turn."""
        path, more = _at("/users/{}/seed/regenerate", user_id), {"topic": topic}
        timeout = self._turn_timeout
        return await self._send("POST", path, schemas.SeedPreview, params=more, timeout=timeout, repeatable=False)

    def summaries(self, user_id: str, query: schemas.PageQuery | None = None) -> AsyncIterator[schemas.Summary]:
        """What a model made of a user's conversations."""
        return self._every(_at("/users/{}/summaries", user_id), schemas.ListOf[schemas.Summary], query)

    async def savings(self, query: schemas.SavingsQuery | None = None) -> schemas.Savings:
        """What windows saved."""
        return await self._get("/analytics/savings", schemas.Savings, _json(query) if query else None)

    # How it is sent.

    async def _get(self, path: str, out: type[Out], params: dict[str, Any] | None = None) -> Out:
        return await self._send("GET", path, out, params=params)

    async def _send(
        self,
        method: str,
        path: str,
        out: type[Out],
        body: BaseModel | None = None,
        *,
        repeatable: bool = True,
        **more: Any,
    ) -> Out:
        async def attempt() -> httpx.Response:
            sent = await self._http.request(method, path, json=None if body is None else _json(body), **more)
            return await _good(sent)

        return out.model_validate_json((await self._patience.keep_trying(attempt, repeatable=repeatable)).content)

    async def _every(
        self, path: str, page: type[schemas.ListOf[Item]], query: schemas.PageQuery | None
    ) -> AsyncIterator[Item]:
        """Every row from where the query begins, `limit` at a time; with `before` alone they are read backwards."""
        params = {"limit": PAGE, **(_json(query) if query else {})}
        backwards = "before" in params and "after" not in params
        while True:
            found = await self._get(path, page, params)
            for row in reversed(found.data) if backwards else found.data:
                yield row
            if not found.has_more:
                return
            params |= {"before": found.first_id} if backwards else {"after": found.last_id}


def _at(path: str, *ids: str) -> str:
    """A path with ids in it, whatever they hold."""
    return path.format(*(quote(one, safe="") for one in ids))


def _json(body: BaseModel) -> Any:
    return body.model_dump(mode="json", exclude_unset=True)


async def _good(answer: httpx.Response) -> httpx.Response:
    """The answer, or the refusal that it is."""
    if answer.is_success:
        return answer
    try:
        await answer.aread()
    finally:
        await answer.aclose()
    raise refusal(answer)
