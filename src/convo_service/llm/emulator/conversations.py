"""The Conversations API: conversations and their items."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from convo_service.llm.emulator import checks, items
from convo_service.llm.emulator.calls import Call
from convo_service.llm.emulator.paging import listing, page
from convo_service.llm.emulator.store import Store
from convo_service.llm.emulator.wire import Answer, ApiError, Json, json_answer, new_id, not_found


class Locks:
    """OpenAI serves one response at a time per conversation and refuses the next; a lock does not outlive us."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def check(self, conversation_id: str) -> None:
        """Raises if a response is running there."""
        if conversation_id in self._held:
            text = "Another process is currently operating on this conversation. Please retry in a few seconds."
            raise ApiError(400, text, param="conversation", code="conversation_locked")

    @contextmanager
    def hold(self, conversation_id: str) -> Iterator[None]:
        """Keeps others out for the length of a response."""
        self.check(conversation_id)
        self._held.add(conversation_id)
        try:
            yield
        finally:
            self._held.discard(conversation_id)


class Conversations:
    """The handlers of conversations.* and items.*; a fault's delay comes before any of their work."""

    def __init__(self, store: Store, locks: Locks) -> None:
        self._store = store
        self._locks = locks

    async def create(self, call: Call) -> Answer:
        await call.pause()
        metadata = checks.metadata(call.body.get("metadata"))
        first = items.from_create(call.body.get("items") or [])
        conversation_id = new_id("conv")
        self._store.add_conversation(conversation_id, int(time.time()), metadata, first)
        return json_answer(self._live(conversation_id))

    async def retrieve(self, call: Call) -> Answer:
        await call.pause()
        return json_answer(self._live(call.path["conversation_id"]))

    async def update(self, call: Call) -> Answer:
        await call.pause()
        conversation_id = self._live(call.path["conversation_id"])["id"]
        self._store.set_metadata(conversation_id, checks.metadata(call.body.get("metadata")))
        return json_answer(self._live(conversation_id))

    async def delete(self, call: Call) -> Answer:
        await call.pause()
        conversation_id = self._live(call.path["conversation_id"])["id"]
        self._store.delete_conversation(conversation_id)
        return json_answer({"id": conversation_id, "object": "conversation.deleted", "deleted": True})

    async def create_items(self, call: Call) -> Answer:
        await call.pause()
        conversation_id = self._live(call.path["conversation_id"])["id"]
        new = items.from_create(call.body.get("items"))
        self._locks.check(conversation_id)
        self._store.add_items(conversation_id, new)
        return json_answer(listing(new))

    async def list_items(self, call: Call) -> Answer:
        await call.pause()
        conversation_id = call.path["conversation_id"]
        if self._store.conversation(conversation_id, also_deleted=True) is None:
            raise not_found("Conversation", conversation_id)
        return json_answer(page(self._store.items(conversation_id), call.query))

    async def retrieve_item(self, call: Call) -> Answer:
        await call.pause()
        return json_answer(self._item(call))

    async def delete_item(self, call: Call) -> Answer:
        await call.pause()
        conversation = self._live(call.path["conversation_id"])
        self._store.delete_item(self._item(call)["id"])
        return json_answer(conversation)

    def _live(self, conversation_id: str) -> Json:
        found = self._store.conversation(conversation_id)
        if found is None:
            raise not_found("Conversation", conversation_id)
        return {"object": "conversation", **found}

    def _item(self, call: Call) -> Json:
        found = self._store.item(call.path["conversation_id"], call.path["item_id"])
        if found is None:
            raise not_found("Item", call.path["item_id"])
        return found
