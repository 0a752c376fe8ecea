"""The Responses API: a turn is checked, takes its conversation, speaks, and leaves its items there at the end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from convo_service.llm.emulator import checks, items, usage
from convo_service.llm.emulator.calls import Call
from convo_service.llm.emulator.conversations import Locks
from convo_service.llm.emulator.pace import Pace
from convo_service.llm.emulator.paging import page
from convo_service.llm.emulator.replies import Voice
from convo_service.llm.emulator.store import Store
from convo_service.llm.emulator.stream import Events
from convo_service.llm.emulator.wire import (
    SSE_TYPE,
    Answer,
    ApiError,
    Json,
    json_answer,
    new_id,
    not_found,
)

# What a response repeats of its request, with OpenAI's defaults.
_REPEATED: Json = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "model": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


@dataclass
class Turn:
    """A response in the making."""

    request: Json
    conversation_id: str | None
    context: list[Json]
    inputs: list[Json]
    response: Json


class Responses:
    """The handlers of responses.* and input_items.list."""

    def __init__(
        self, store: Store, locks: Locks, voice: Voice, counter: usage.Counter, cache: usage.PromptCache, pace: Pace
    ) -> None:
        self._store = store
        self._locks = locks
        self._voice = voice
        self._counter = counter
        self._cache = cache
        self._pace = pace

    async def create(self, call: Call) -> Answer:
        turn = self._begin(call)
        if call.body.get("stream"):
            return Answer(self._events(call, turn), headers=SSE_TYPE)
        await call.pause()  # after the conversation was taken: a slow model keeps it locked
        finished = self._spoken(turn, call)
        await self._pace.read(finished["usage"])
        await self._pace.speak(finished["usage"])
        self._keep(turn, finished)
        return json_answer(finished)

    async def retrieve(self, call: Call) -> Answer:
        await call.pause()
        return json_answer(self._stored(call))

    async def delete(self, call: Call) -> Answer:
        await call.pause()
        response_id = self._stored(call)["id"]
        self._store.delete_response(response_id)
        return json_answer({"id": response_id, "object": "response", "deleted": True})

    async def list_inputs(self, call: Call) -> Answer:
        await call.pause()
        return json_answer(page(self._store.inputs(self._stored(call)["id"]), call.query))

    def _begin(self, call: Call) -> Turn:
        checks.response_request(call.body)
        inputs = items.from_input(call.body["input"])
        conversation_id = self._take_conversation(call)
        context = self._context(conversation_id, call.body.get("previous_response_id"))
        _refuse_resent_items(call.body["input"], context)
        return Turn(call.body, conversation_id, context, inputs, _in_progress(call.body, conversation_id))

    def _take_conversation(self, call: Call) -> str | None:
        if call.body.get("conversation") is None:
            return None
        conversation_id = call.conversation_id
        if conversation_id is None:
            raise checks.invalid_type("conversation", "a string or an object with an id", call.body["conversation"])
        if self._store.conversation(conversation_id) is None:
            raise not_found("Conversation", conversation_id)
        call.stack.enter_context(self._locks.hold(conversation_id))
        return conversation_id

    def _context(self, conversation_id: str | None, previous: str | None) -> list[Json]:
        if conversation_id is not None:
            return self._store.items(conversation_id)
        chain: list[Json] = []
        while previous is not None:
            stored = self._store.response(previous)
            if stored is None:
                text = f"Previous response with id '{previous}' not found."
                raise ApiError(400, text, param="previous_response_id", code="previous_response_not_found")
            chain = [*self._store.inputs(previous), *stored["output"], *chain]
            previous = stored["previous_response_id"]
        return chain

    async def _events(self, call: Call, turn: Turn) -> AsyncIterator[bytes]:
        events = Events()
        yield events.event("response.created", response=turn.response)
        yield events.event("response.in_progress", response=turn.response)
        await call.pause()  # a slow model has said that it begins
        finished = self._spoken(turn, call)
        await self._pace.read(finished["usage"])
        for item in finished["output"]:
            said = list(events.message(item))
            for event in said:
                yield event
                await self._pace.speak(finished["usage"], 1 / len(said))
        # Only now, so that a client that leaves in the middle leaves nothing behind.
        self._keep(turn, finished)
        yield events.event(f"response.{finished['status']}", response=finished)

    def _spoken(self, turn: Turn, call: Call) -> Json:
        if call.failed_run is not None:
            error = {"code": call.failed_run, "message": "The emulator was asked to let this run fail."}
            return {**turn.response, "status": "failed", "error": error}
        text = self._voice.reply(turn.request, turn.inputs)
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        prompt = self._counter.prompt(
            turn.request["model"], turn.request.get("instructions"), [*turn.context, *turn.inputs]
        )
        output = [items.message("assistant", [part])]
        return {
            **turn.response,
            "status": "completed",
            "completed_at": int(time.time()),
            "output": output,
            "usage": self._counter.report(prompt, self._cache.swap(turn.conversation_id, prompt), output),
        }

    def _keep(self, turn: Turn, finished: Json) -> None:
        self._store.finish_response(finished, turn.inputs, keep=finished["store"])

    def _stored(self, call: Call) -> Json:
        found = self._store.response(call.path["response_id"])
        if found is None:
            raise not_found("Response", call.path["response_id"])
        return found


def _in_progress(request: Json, conversation_id: str | None) -> Json:
    repeated = {name: default if request.get(name) is None else request[name] for name, default in _REPEATED.items()}
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "conversation": None if conversation_id is None else {"id": conversation_id},
        "output": [],
        "usage": None,
        **repeated,
    }


def _refuse_resent_items(sent: str | list[Json], context: list[Json]) -> None:
    known = {item["id"] for item in context}
    for entry in sent if isinstance(sent, list) else ():
        if entry.get("id") in known:
            text = f"Duplicate item found with id {entry['id']}. Remove duplicate items and try again."
            raise ApiError(400, text, param="input")
