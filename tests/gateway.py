"""The words that tests are written in: what a gateway does with the service, over HTTP."""

from datetime import datetime
from itertools import count
from typing import Any

import httpx

MARIA = "+393331234567"


class Gateway:
    """A WhatsApp gateway with a key."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self._ids = count(1)

    async def post(
        self, text: str, *, identity: str = MARIA, id: str | None = None, at: datetime | None = None, **more: Any
    ) -> httpx.Response:
        """Send one inbound message and return the raw answer."""
        message: dict[str, Any] = {"id": id or f"wamid.{next(self._ids)}", "text": text}
        if at is not None:
            message["sent_at"] = at.isoformat()
        return await self.http.post("/conversations", json={"identity": identity, "message": message, **more})

    async def say(self, text: str, **more: Any) -> dict[str, Any]:
        """Send one inbound message that has to succeed."""
        answer = await self.post(text, **more)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    async def turn(
        self, text: str, *, identity: str = MARIA, id: str | None = None, at: datetime | None = None, **more: Any
    ) -> httpx.Response:
        """Have one inbound message answered and return the raw answer."""
        message: dict[str, Any] = {"id": id or f"wamid.{next(self._ids)}", "text": text}
        if at is not None:
            message["sent_at"] = at.isoformat()
        return await self.http.post("/turns", json={"identity": identity, "message": message, **more})

    async def ask(self, text: str, **more: Any) -> dict[str, Any]:
        """Have one inbound message answered; it has to succeed."""
        answer = await self.turn(text, **more)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def reply(self, conversation_id: str, text: str, **more: Any) -> dict[str, Any]:
        """Append what the bot said."""
        body = {"messages": [{"direction": "outbound", "text": text, **more}]}
        answer = await self.http.post(f"/conversations/{conversation_id}/messages", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json()["data"][0])

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Read something that has to be there."""
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def listed(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """The rows of a list."""
        return list((await self.get(path, **params))["data"])


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a problem of this status and code."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = dict(answer.json())
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), answer.text
    return body
