"""The emulator as one ASGI app: its routes, and the handles that tests hold."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from convo_service.llm.emulator import usage
from convo_service.llm.emulator.calls import Call, Endpoint, Handler, Journal, Recorded
from convo_service.llm.emulator.control import Control
from convo_service.llm.emulator.conversations import Conversations, Locks
from convo_service.llm.emulator.faults import Fault, Faults
from convo_service.llm.emulator.pace import Pace
from convo_service.llm.emulator.replies import Model, Voice
from convo_service.llm.emulator.responses import Responses
from convo_service.llm.emulator.store import Store
from convo_service.llm.emulator.wire import Answer, ApiError, Json, json_answer

_CONVERSATION = "/v1/conversations/{conversation_id}"
_RESPONSE = "/v1/responses/{response_id}"


class Emulator:
    """An ASGI app that answers like OpenAI's Conversations and Responses APIs, without a model behind it."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        model: Model | None = None,
        count: usage.Count = usage.quarter,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`path` is a SQLite file that keeps the state over a restart; without it the state is in memory.

        `model` answers what no text was scripted for: it is given the request's body and returns the text. `count`
        says how many tokens a text has, `pace` how long a reply takes, and `clock`, in seconds, when a prompt that
        was sent before is forgotten.
        """
        self._store = Store(path)
        self._faults = Faults()
        self._journal = Journal()
        self._voice = Voice(model)
        locks = Locks()
        responses = Responses(
            self._store, locks, self._voice, usage.Counter(count), usage.PromptCache(clock), pace or Pace()
        )
        table = _operations(Conversations(self._store, locks), responses)
        self._operations = {"*", *(operation for operation, _, _, _ in table)}
        control = Control(self._journal, self.fail_next, self.reply_next, self.reset)
        self._router = Router(
            [
                *(
                    Route(url, Endpoint(operation, handler, self._faults, self._journal), methods=[method])
                    for operation, method, url, handler in table
                ),
                *control.routes(),
                Route("/{url:path}", _UnknownUrl()),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    @property
    def calls(self) -> Counter[str]:
        """The number of requests per operation, counted on arrival."""
        return self._journal.calls

    @property
    def requests(self) -> list[Recorded]:
        """The last 1,000 requests, oldest first."""
        return self._journal.requests

    def fail_next(
        self,
        operation: str,
        *,
        status: int | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
        body: str | bytes | None = None,
        times: int = 1,
        delay: float = 0.0,
        after: bool = False,
        hang: bool = False,
        drip: float | None = None,
    ) -> None:
        """Orders a fault for the next `times` calls of an operation ("*" is any).

        Status and code make an error envelope (500 if nothing else is said), `body` is sent as it is. `delay`
        (seconds) and `hang` make the work slow, and a slow response keeps its conversation locked. `after` does the
        work first and then waits and fails; with nothing else said the SDK sees a broken connection. `drip` sends
        whatever is sent one byte every so many seconds. Status 200 with a code is a model run that fails. Raises
        ValueError for an operation that does not exist, as the test that asks for it would prove nothing.
        """
        if operation not in self._operations:
            raise ValueError(f"unknown operation {operation!r}, there are {sorted(self._operations)}")
        self._faults.add(Fault(operation, status, code, headers or {}, body, times, delay, after, hang, drip))

    def reply_next(self, text: str) -> None:
        """Scripts the text of a coming response, first in, first out."""
        self._voice.scripted.append(text)

    def reset(self) -> None:
        """Forgets faults, scripted texts, counts and recorded requests; conversations stay."""
        self._faults.clear()
        self._voice.scripted.clear()
        self._journal.clear()

    def items(self, conversation_id: str) -> list[Json]:
        """All items of a conversation, oldest first; of a deleted one these are the orphans."""
        return self._store.items(conversation_id)

    def conversations(self) -> dict[str, Json]:
        """Every conversation there ever was: id -> {created_at, metadata, deleted}."""
        return self._store.conversations()

    def close(self) -> None:
        """Closes the state's file."""
        self._store.close()


def _operations(conversations: Conversations, responses: Responses) -> list[tuple[str, str, str, Handler]]:
    return [
        ("conversations.create", "POST", "/v1/conversations", conversations.create),
        ("conversations.retrieve", "GET", _CONVERSATION, conversations.retrieve),
        ("conversations.update", "POST", _CONVERSATION, conversations.update),
        ("conversations.delete", "DELETE", _CONVERSATION, conversations.delete),
        ("items.create", "POST", f"{_CONVERSATION}/items", conversations.create_items),
        ("items.list", "GET", f"{_CONVERSATION}/items", conversations.list_items),
        ("items.retrieve", "GET", f"{_CONVERSATION}/items/{{item_id}}", conversations.retrieve_item),
        ("items.delete", "DELETE", f"{_CONVERSATION}/items/{{item_id}}", conversations.delete_item),
        ("responses.create", "POST", "/v1/responses", responses.create),
        ("responses.retrieve", "GET", _RESPONSE, responses.retrieve),
        ("responses.delete", "DELETE", _RESPONSE, responses.delete),
        ("models.retrieve", "GET", "/v1/models/{model}", _model),
        ("input_items.list", "GET", f"{_RESPONSE}/input_items", responses.list_inputs),
    ]


async def _model(call: Call) -> Answer:
    """Every model is there: none is behind any of them."""
    return json_answer({"id": call.path["model"], "object": "model", "created": 0, "owned_by": "emulator"})


class _UnknownUrl:
    """Answers everything else as OpenAI does; last in the table, so a wrong method ends here too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        await ApiError(404, f"Invalid URL ({scope['method']} {scope['path']})").answer().send(send)
